using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Targets;

/// <summary>A network of one queue pair that reads every byte sent and lets packets arrive as a script has them.</summary>
internal sealed class FuzzNet : INetBackend, INetQueue
{
    private readonly EventFd _arrived = new();
    private readonly Lock _sync = new();
    private readonly byte[] _sent = new byte[0x1_1000];
    private readonly byte[] _packet = new byte[0x1_0000];
    private int _pending, _length;
    private bool _full;

    public int QueuePairs => 1;

    public int Mtu => 1500;

    public NetOffloads SupportedOffloads => NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6 | NetOffloads.Ecn;

    public bool LinkUp => true;

    public string? Loss => null;

    public FileDescriptor Poll => _arrived;

    public INetQueue OpenQueue(int index) => this;

    public bool SetOffloads(NetOffloads offloads) => true;

    public bool SetActiveQueuePairs(int count) => true;

    /// <summary>Packets arrive, or there is no room for sending, or there is again.</summary>
    internal void OnHost(FuzzScript script)
    {
        lock (_sync)
        {
            byte what = script.U8();
            _full = (what & 0xE0) == 0xE0;
            _pending = what & 3;
            _length = 12 + (what & 0x1C) switch { 0 => script.U16() % 0xFF00, 4 => 0, _ => 60 + script.U8() * 8 };
            // Its header, addresses, type and the start of what it carries.
            script.Fill(_packet.AsSpan(0, (what & 0x10) != 0 ? 64 : 14));
        }

        _arrived.Signal();
    }

    /// <summary>An empty network with room.</summary>
    internal void Clear()
    {
        lock (_sync)
            (_pending, _full) = (0, false);
    }

    public int Receive(ReadOnlySpan<IoVec> to)
    {
        lock (_sync)
        {
            if (_pending == 0)
                return -LibcConstants.EAGAIN;
            _pending--;
            return IoVecCopy.CopyFrom(to, 0, _packet.AsSpan(0, _length));
        }
    }

    public int Send(ReadOnlySpan<IoVec> from)
    {
        lock (_sync)
            return _full ? -LibcConstants.EAGAIN : IoVecCopy.CopyTo(from, 0, _sent);
    }

    void IDisposable.Dispose()
    {
        // A queue is closed and opened again, and so is the back end of a device: both are this object.
    }

    internal void Close() => _arrived.Dispose();
}
