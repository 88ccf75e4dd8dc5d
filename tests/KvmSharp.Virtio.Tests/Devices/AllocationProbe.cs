using KvmSharp.Core.Events;

namespace KvmSharp.Virtio.Tests.Devices;

/// <summary>Reads, on a loop's thread, what that thread has allocated.</summary>
internal sealed class AllocationProbe : IEventSink
{
    public long Bytes { get; private set; }

    public void OnReady(uint cookie, uint epollEvents) => Bytes = GC.GetAllocatedBytesForCurrentThread();
}
