using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>The control queue (virtio 1.2 §5.1.6.5) on its loop: every command is answered, what is malformed or not negotiated with an error.</summary>
internal sealed class NetControl : IEventSink
{
    private const uint KickCookie = 0, StopCookie = 1;
    private const int Budget = 32;
    private const int MacLength = MacAddress.Length;

    /// <summary>Addresses kept of each kind; beyond it all of that kind pass.</summary>
    private const int TableSize = 64;

    private readonly NetShared _shared;
    private readonly EventLoop _loop;
    private readonly VirtQueueBinding _binding;
    private readonly VirtQueue _queue;
    private readonly Func<int, bool> _setActivePairs;
    private readonly Action _announceAcknowledged;
    private readonly EventToken _token;
    private bool _stopped;

    public NetControl(NetShared shared, EventLoop loop, VirtQueueBinding binding, VirtQueue queue, Func<int, bool> setActivePairs, Action announceAcknowledged)
    {
        _shared = shared;
        _loop = loop;
        _binding = binding;
        _queue = queue;
        _setActivePairs = setActivePairs;
        _announceAcknowledged = announceAcknowledged;
        _token = loop.Register(binding.Kick, Abi.LibcConstants.EPOLLIN, this, KickCookie);
    }

    private ulong Features => _binding.Context.Features;

    public void OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == StopCookie)
            _stopped = true;
        if (_stopped)
            return;
        _binding.Kick.Drain();
        Serve();
    }

    /// <summary>Ends the service. Control thread.</summary>
    public VirtQueueState Stop()
    {
        _loop.Unregister(_token);
        _loop.Invoke(this, StopCookie);
        return _queue.Save();
    }

    private void Serve()
    {
        int budget = Budget;
        do
        {
            _queue.DisableNotifications();
            while (budget > 0 && _queue.TryPop(out DescriptorChain chain))
            {
                budget--;
                byte status = Execute(chain.Readable, chain.ReadableBytes) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
                _queue.Push(chain.Token, (uint)IoVecCopy.CopyFrom(chain.Writable, 0, [status]));
            }

            if (_queue.Publish())
                _binding.Context.Interrupt.SignalQueue(_binding.Index);
            if (budget == 0)
            {
                _loop.Post(this, KickCookie);
                return;
            }
        }
        while (!_queue.TryEnableNotifications());
        _binding.Context.ReportFault(_binding.Index, _queue);
    }

    private bool Execute(ReadOnlySpan<IoVec> command, uint length)
    {
        Span<byte> head = stackalloc byte[2];
        if (IoVecCopy.CopyTo(command, 0, head) != 2)
            return false;
        length -= 2;
        return (head[0], head[1]) switch
        {
            (VIRTIO_NET_CTRL_RX, byte mode) => length == 1 && Has(mode <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA) && SetMode(mode, command),
            (VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET) => Has(VIRTIO_NET_F_CTRL_RX) && SetTables(command, length),
            (VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET) => length == MacLength && Has(VIRTIO_NET_F_CTRL_MAC_ADDR) && SetMac(command),
            (VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD) => length == 2 && SetVlan(command, true),
            (VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL) => length == 2 && SetVlan(command, false),
            (VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK) => Has(VIRTIO_NET_F_GUEST_ANNOUNCE) && AcknowledgeAnnounce(),
            (VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET) => length == 2 && Has(VIRTIO_NET_F_MQ) && SetPairs(command),
            (VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET) => length == 8 && Has(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) && SetOffloads(command),
            _ => false,
        };
    }

    private bool Has(int feature) => (Features & 1UL << feature) != 0;

    private bool SetMode(byte mode, ReadOnlySpan<IoVec> command)
    {
        Span<byte> value = stackalloc byte[1];
        _ = IoVecCopy.CopyTo(command, 2, value);
        bool on = value[0] != 0;
        NetFilter filter = _shared.Filter;
        NetFilter? next = mode switch
        {
            VIRTIO_NET_CTRL_RX_PROMISC => filter with { Promiscuous = on },
            VIRTIO_NET_CTRL_RX_ALLMULTI => filter with { AllMulticast = on },
            VIRTIO_NET_CTRL_RX_ALLUNI => filter with { AllUnicast = on },
            VIRTIO_NET_CTRL_RX_NOMULTI => filter with { NoMulticast = on },
            VIRTIO_NET_CTRL_RX_NOUNI => filter with { NoUnicast = on },
            VIRTIO_NET_CTRL_RX_NOBCAST => filter with { NoBroadcast = on },
            _ => null,
        };
        _shared.Filter = next ?? filter;
        return next is not null;
    }

    private bool SetTables(ReadOnlySpan<IoVec> command, uint length)
    {
        ulong at = 2, end = 2UL + length;
        if (!TryReadTable(command, ref at, end, out ulong[]? unicast) || !TryReadTable(command, ref at, end, out ulong[]? multicast) || at != end)
            return false;
        _shared.Filter = _shared.Filter with { Unicast = unicast, Multicast = multicast };
        return true;
    }

    private static bool TryReadTable(ReadOnlySpan<IoVec> command, ref ulong at, ulong end, out ulong[]? table)
    {
        Span<byte> bytes = stackalloc byte[MacLength * TableSize];
        table = null;
        if (end - at < 4 || IoVecCopy.CopyTo(command, at, bytes[..4]) != 4)
            return false;
        ulong count = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        at += 4;
        if (count * MacLength > end - at)
            return false;
        if (count <= TableSize)
        {
            table = new ulong[(int)count];
            _ = IoVecCopy.CopyTo(command, at, bytes[..(MacLength * table.Length)]);
            for (int i = 0; i < table.Length; i++)
                table[i] = ReadMac(bytes[(MacLength * i)..]);
        }

        at += count * MacLength;
        return true;
    }

    private bool SetMac(ReadOnlySpan<IoVec> command)
    {
        Span<byte> bytes = stackalloc byte[MacLength];
        _ = IoVecCopy.CopyTo(command, 2, bytes);
        _shared.Filter = _shared.Filter with { Mac = ReadMac(bytes) };
        return true;
    }

    private bool SetVlan(ReadOnlySpan<IoVec> command, bool passes)
    {
        int vlan = ReadUInt16(command);
        if (vlan > 0xfff || _shared.Filter.Vlans is not { } before)
            return false;
        ulong[] vlans = [.. before];
        vlans[vlan >> 6] = vlans[vlan >> 6] & ~(1UL << (vlan & 63)) | (passes ? 1UL << (vlan & 63) : 0);
        _shared.Filter = _shared.Filter with { Vlans = vlans };
        return true;
    }

    private bool AcknowledgeAnnounce()
    {
        _announceAcknowledged();
        return true;
    }

    private bool SetPairs(ReadOnlySpan<IoVec> command)
    {
        int pairs = ReadUInt16(command);
        return pairs >= 1 && pairs <= _shared.Backend.QueuePairs && _setActivePairs(pairs);
    }

    private bool SetOffloads(ReadOnlySpan<IoVec> command)
    {
        Span<byte> bytes = stackalloc byte[8];
        _ = IoVecCopy.CopyTo(command, 2, bytes);
        ulong wanted = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return (wanted & ~(Features & NetOffloadBits.Guest)) == 0 && _shared.Backend.SetOffloads(NetOffloadBits.ToHost(wanted));
    }

    private static ushort ReadUInt16(ReadOnlySpan<IoVec> command)
    {
        Span<byte> bytes = stackalloc byte[2];
        _ = IoVecCopy.CopyTo(command, 2, bytes);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    private static ulong ReadMac(ReadOnlySpan<byte> bytes) =>
        (ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32 | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);
}
