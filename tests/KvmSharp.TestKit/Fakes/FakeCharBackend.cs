using KvmSharp.Core.Chars;

namespace KvmSharp.TestKit.Fakes;

/// <summary>Keeps what the guest wrote and feeds what the test says.</summary>
public sealed class FakeCharBackend : ICharBackend
{
    private readonly Lock _sync = new();
    private readonly MemoryStream _output = new();

    public ICharFrontend? Frontend { get; private set; }

    public int ReadyCalls { get; private set; }

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
            _output.Write(data);
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

    public void Dispose() => _output.Dispose();
}
