using System.Text;
using KvmSharp.Backends.Char;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Tests.Char;

/// <summary>What a device is told: bytes and events.</summary>
internal sealed class RecordingFrontend : ICharFrontend
{
    private const int TimeoutMs = 20_000;

    private readonly StringBuilder _seen = new();
    private volatile int _room = int.MaxValue;
    private int _events;

    /// <summary>Bytes that it takes from now on; never said: any number.</summary>
    public int Room
    {
        set => _room = value;
    }

    public int Capacity => _room;

    public string Text
    {
        get
        {
            lock (_seen)
                return _seen.ToString();
        }
    }

    public void Receive(ReadOnlySpan<byte> data)
    {
        lock (_seen)
        {
            _seen.Append(Encoding.ASCII.GetString(data));
            if (_room != int.MaxValue)
                _room -= data.Length;
        }
    }

    public void OnHostEvent(CharEvent happened) => Interlocked.Or(ref _events, (int)happened);

    public bool TakeEvent(CharEvent wanted) => (Interlocked.And(ref _events, ~(int)wanted) & (int)wanted) != 0;

    public bool WaitForEvent(CharEvent wanted) => SpinWait.SpinUntil(() => TakeEvent(wanted), TimeoutMs);

    public bool WaitFor(string text) => SpinWait.SpinUntil(() => Text == text, TimeoutMs);
}
