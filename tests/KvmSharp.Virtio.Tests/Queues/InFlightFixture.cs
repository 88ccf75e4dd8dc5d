using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>Memory for a queue, and a region in which the process that serves it notes what it has taken.</summary>
public abstract unsafe class InFlightFixture : IDisposable
{
    private protected const ushort Size = 16;
    private protected const ulong DataArea = 0x40_0000;

    /// <summary>Where the header of a packed queue's region has used_idx and its wrap counter.</summary>
    private protected const int PackedUsedIndex = 16, PackedUsedWrap = 20;

    private const ulong RingArea = 0x1_0000, MemoryBytes = 0x80_0000;

    private protected NativeBuffer Notes { get; } = new((int)InFlightRegion.SizeOf(Size));

    private protected GuestMemory Memory { get; } = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });

    private protected InFlightRegion Region => new(Notes.Pointer, Size);

    public void Dispose()
    {
        Notes.Dispose();
        Memory.Dispose();
    }

    private protected static bool Offer(DriverQueue driver, int cookie, DriverBuffer[] buffers)
    {
        bool indirect = (driver.Features & VirtioFeatures.IndirectDesc) != 0 && cookie % 2 == 0;
        bool added = driver.TryAdd(buffers, cookie, indirect);
        driver.Publish();
        return added;
    }

    private protected DriverQueue Drive(ulong features) => DriverQueue.Create(Memory, RingArea, Size, features);

    private protected VirtQueue Open(DriverQueue driver, VirtQueueState state, InFlightRegion? region)
    {
        Assert.Equal(VirtQueueFault.None, VirtQueue.Open(driver.ToConfig(), Memory, driver.Features, state, out VirtQueue? queue, region));
        return queue!;
    }
}
