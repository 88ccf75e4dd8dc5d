using KvmSharp.Core.Events;

namespace KvmSharp.TestKit;

/// <summary>Reads, on a loop's thread, what that thread has allocated.</summary>
public sealed class AllocationProbe : IEventSink
{
    public long Bytes { get; private set; }

    public void OnReady(uint cookie, uint epollEvents) => Bytes = GC.GetAllocatedBytesForCurrentThread();
}
