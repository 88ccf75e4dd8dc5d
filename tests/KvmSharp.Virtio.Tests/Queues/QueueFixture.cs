using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>Guest memory with a driver queue at 64 KiB and a device queue over it.</summary>
public sealed unsafe class QueueFixture : IDisposable
{
    public const ulong Data = 0x40_0000;
    public const ulong MemoryBytes = 0x80_0000;

    public QueueFixture(ushort size = 16, ulong features = 0)
    {
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
        Driver = DriverQueue.Create(Memory, 0x1_0000, size, features);
        Device = Driver.Open();
    }

    public GuestMemory Memory { get; }

    public DriverQueue Driver { get; }

    public VirtQueue Device { get; private set; }

    public void Reopen(VirtQueueState state) => Device = Driver.Open(state);

    public static DriverBuffer Readable(uint length, ulong offset = 0) => new(Data + offset, length, false);

    public static DriverBuffer Writable(uint length, ulong offset = 0) => new(Data + offset, length, true);

    public bool Add(int cookie, params DriverBuffer[] buffers) => Driver.TryAdd(buffers, cookie);

    public bool AddIndirect(int cookie, params DriverBuffer[] buffers) => Driver.TryAdd(buffers, cookie, indirect: true);

    /// <summary>Adds one small chain and makes it available; true: the device wants a kick.</summary>
    public bool Offer(int cookie)
    {
        Assert.True(Add(cookie, Readable(8), Writable(8, 64)));
        return Driver.Publish();
    }

    /// <summary>Pops one chain and uses it; true: the driver wants an interrupt.</summary>
    public bool Serve(uint written = 4)
    {
        Assert.True(Device.TryPop(out DescriptorChain chain));
        Device.Push(chain.Token, written);
        return Device.Publish();
    }

    public int Take(out uint written)
    {
        Assert.True(Driver.TryTakeUsed(out int cookie, out written));
        return cookie;
    }

    /// <summary>Overwrites a 16-bit word of guest memory.</summary>
    public void Poke16(ulong address, ushort value) => Assert.True(Memory.TryWrite(new GuestAddress(address), value));

    public void Poke32(ulong address, uint value) => Assert.True(Memory.TryWrite(new GuestAddress(address), value));

    public void Poke64(ulong address, ulong value) => Assert.True(Memory.TryWrite(new GuestAddress(address), value));

    public ushort Peek16(ulong address)
    {
        Assert.True(Memory.TryRead(new GuestAddress(address), out ushort value));
        return value;
    }

    public ulong DescriptorAt(int index) => Driver.DescriptorArea + 16UL * (uint)index;

    public ulong GuestAddressOf(IoVec segment) => (ulong)segment.Base - (ulong)Memory.Regions[0].Pointer;

    public void Dispose() => Memory.Dispose();
}
