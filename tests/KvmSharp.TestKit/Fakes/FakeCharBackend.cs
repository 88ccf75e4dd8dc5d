using KvmSharp.Core.Chars;

namespace KvmSharp.TestKit.Fakes;

/// <summary>Keeps what the guest wrote and feeds what the test says.</summary>
public sealed class FakeCharBackend : ICharBackend
{
    private readonly Lock _sync = new();
    private readonly MemoryStream _output = new();
    private int _room = int.MaxValue;

    public ICharFrontend? Frontend { get; private set; }

    public int ReadyCalls { get; private set; }

    public bool IsDisposed { get; private set; }

    /// <summary>False: output is counted, not kept.</summary>
    public bool KeepsOutput { get; init; } = true;

    public long Written { get; private set; }

    /// <summary>Bytes that <see cref="TryWrite"/> still takes.</summary>
    public int Room
    {
        get
        {
            lock (_sync)
                return _room;
        }

        set
        {
            lock (_sync)
                _room = value;
        }
    }

    public bool IsConnected { get; set; } = true;

    public TerminalSize Size { get; set; }

    public byte[] Output
    {
        get
        {
            lock (_sync)
                return _output.ToArray();
        }
    }

    public string OutputText => System.Text.Encoding.Latin1.GetString(Output);

    public void Start(ICharFrontend frontend) => Frontend = frontend;

    public void Write(ReadOnlySpan<byte> data)
    {
        lock (_sync)
            Keep(data);
    }

    public int TryWrite(ReadOnlySpan<byte> data)
    {
        lock (_sync)
        {
            int taken = Math.Min(data.Length, _room);
            if (_room != int.MaxValue)
                _room -= taken;
            Keep(data[..taken]);
            return taken;
        }
    }

    public void OnFrontendReady() => ReadyCalls++;

    /// <summary>Host input, limited to what the front end takes.</summary>
    /// <returns>How many bytes it took.</returns>
    public int Feed(ReadOnlySpan<byte> data)
    {
        int take = Math.Min(Frontend!.Capacity, data.Length);
        if (take > 0)
            Frontend.Receive(data[..take]);
        return take;
    }

    public void Raise(CharEvent happened) => Frontend!.OnHostEvent(happened);

    public void Dispose()
    {
        IsDisposed = true;
        _output.Dispose();
    }

    private void Keep(ReadOnlySpan<byte> data)
    {
        Written += data.Length;
        if (KeepsOutput)
            _output.Write(data);
    }
}
