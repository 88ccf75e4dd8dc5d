using KvmSharp.Backends.Net;
using KvmSharp.TestKit;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>The other end of a bridge on which taps are served: frames in and out of a tap of the test's own. In a network namespace of its own.</summary>
internal sealed class TapPeer : IDisposable
{
    public const string Bridge = "br0";

    private readonly TapBackend _tap;
    private readonly INetQueue _queue;
    private readonly NativeBuffer _buffer = new(4096);

    public TapPeer()
    {
        // Or the kernel's own frames come in between.
        File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        NetworkNamespace.Ip($"link add {Bridge} type bridge mcast_snooping 0");
        NetworkNamespace.Ip($"link set {Bridge} up");
        _tap = TapBackend.Open(new TapOptions { Name = "peer", Bridge = Bridge });
        _queue = _tap.OpenQueue(0);
    }

    public void Send(ReadOnlySpan<byte> frame)
    {
        _buffer.Span.Clear();
        frame.CopyTo(_buffer.Span[NetDriver.HeaderBytes..]);
        int length = NetDriver.HeaderBytes + frame.Length;
        Assert.Equal(length, _queue.Send([_buffer.Slice(0, length)]));
    }

    /// <summary>The next frame. Throws <see cref="TimeoutException"/>.</summary>
    public byte[] Receive()
    {
        int length = 0;
        Patience.Await(() => (length = _queue.Receive([_buffer.Slice(0, _buffer.Length)])) > 0, () => "no frame has come");
        return _buffer.Span[NetDriver.HeaderBytes..length].ToArray();
    }

    public void Dispose()
    {
        _queue.Dispose();
        _tap.Dispose();
        _buffer.Dispose();
    }
}
