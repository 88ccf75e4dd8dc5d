namespace KvmSharp.Core.Events;

/// <summary>One slot of a loop's table. Written under the loop's registration lock, read by the loop without it.</summary>
internal sealed class EventRegistration
{
    /// <summary>0 while free; differs for every use of the slot.</summary>
    public uint Generation;

    public uint LastGeneration;
    public IEventSink? Sink;
    public uint Cookie;
    public FileDescriptor? Descriptor;

    /// <summary>Non-zero on the loop thread while the sink runs: what an off-loop unregister waits for.</summary>
    public int Running;
}
