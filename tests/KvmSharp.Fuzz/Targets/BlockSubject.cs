using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Block;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Fuzz.Targets;

/// <summary>A disk of 128 KiB in memory.</summary>
internal sealed class BlockSubject : IVirtioSubject
{
    private const int DiskBytes = 0x2_0000;
    private static readonly uint[] s_types =
    [
        VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE,
    ];

    private readonly MemoryBlockBackend _disk = new(DiskBytes);

    public int ProbeQueue => 0;

    // The header is all zero: a read of sector 0.
    public DriverBuffer[] ProbeBuffers { get; } = [new(FuzzGuest.Data, 16, false), new(FuzzGuest.Data + 0x200, 512, true), new(FuzzGuest.Data + 0x100, 1, true)];

    public IVirtioDevice Create(EventLoop loop) => new VirtioBlock(new VirtioBlockOptions { Queues = 2, QueueSize = HostileRing.MaxSize, CapacityCheckNs = 0 }, _disk, [loop]);

    public void AddRequest(FuzzScript script, GuestMemory memory, HostileRing ring)
    {
        byte shape = script.U8();
        ulong header = FuzzGuest.Data + (ulong)(shape & 7) * 0x40;
        uint type = (shape & 8) != 0 ? (uint)script.Number() : s_types[script.Below(s_types.Length)];
        memory.TryWrite(new GuestAddress(header), new virtio_blk_outhdr { type = type, sector = script.Number() });
        ulong data = FuzzGuest.Data + 0x1000 + (ulong)script.U8() * 0x200;
        uint length = (shape & 0x10) != 0 ? (uint)script.Number() : 512u * (uint)(1 + script.Below(8));
        bool toGuest = type is VIRTIO_BLK_T_IN or VIRTIO_BLK_T_GET_ID;
        if (type is VIRTIO_BLK_T_DISCARD or VIRTIO_BLK_T_WRITE_ZEROES)
        {
            memory.TryWrite(new GuestAddress(data), new virtio_blk_discard_write_zeroes { sector = script.Number(), num_sectors = (uint)script.Number(), flags = script.U8() });
            length = (shape & 0x20) != 0 ? length : 16;
        }

        if ((shape & 0xC0) == 0xC0)
            ring.AddChain(script, [(header, 16, false), (data, length, toGuest), (data + length, 512, toGuest), (header + 32, 1, true)]);
        else
            ring.AddChain(script, [(header, 16, false), (data, length, toGuest), (header + 32, 1, true)]);
    }

    public void OnHost(FuzzScript script)
    {
    }

    public void Restore()
    {
    }
}
