using System.Buffers.Binary;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Net;

/// <summary>
/// Sends the frames of one queue pair on to where they belong, with one copy from the sender's buffers to the receiver's. What a receiver has no buffers for
/// is lost, as on any switch: nobody waits for it. A receive queue is kept for as long as frames of a burst go there, and never two at once.
/// </summary>
internal sealed class SwitchSender(SwitchPort port, int pair) : IFrameSink
{
    private const ulong GroupBit = 1UL << 40;

    private ReceiveRing? _open;
    private int _openNumber;
    private ulong _learnt;
    private uint _now;
    private bool _inBurst;

    public void Take(ReadOnlySpan<IoVec> segments, uint bytes)
    {
        if (!_inBurst)
        {
            _inBurst = true;
            _learnt = 0;
            _now = (uint)(Environment.TickCount64 / 1000);
        }

        Span<byte> addresses = stackalloc byte[NetFrame.AddressBytes];
        _ = IoVecCopy.CopyTo(segments, (ulong)NetFrame.HeaderBytes, addresses);
        ulong destination = ReadAddress(addresses), source = ReadAddress(addresses[6..]);
        L2Switch fabric = port.Switch;
        if (source != _learnt && source != 0 && (source & GroupBit) == 0)
        {
            fabric.Stations.Learn(source, port.Number, _now);
            _learnt = source;
        }

        SwitchPort?[] ports = fabric.Ports;
        if ((destination & GroupBit) == 0 && fabric.Stations.TryFind(destination, _now, out ushort number) && number < ports.Length)
        {
            if (number != port.Number && ports[number] is { } only)
                Send(only, segments, bytes);
            return;
        }

        foreach (SwitchPort? other in ports)
        {
            if (other is not null && other.Number != port.Number)
                Send(other, segments, bytes);
        }
    }

    public void EndBurst()
    {
        _inBurst = false;
        Close();
    }

    private void Send(SwitchPort to, ReadOnlySpan<IoVec> segments, uint bytes)
    {
        if (_open is null || _openNumber != to.Number)
        {
            Close();
            if (to.RingFor(pair) is not { } ring || !ring.TryBegin())
                return;
            _open = ring;
            _openNumber = to.Number;
        }

        if (!_open.TryPut(segments, (uint)NetFrame.HeaderBytes, bytes))
            _open.Counters.AddLost(1);
    }

    private void Close()
    {
        _open?.End();
        _open = null;
    }

    private static ulong ReadAddress(ReadOnlySpan<byte> bytes) => (ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32 | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);
}
