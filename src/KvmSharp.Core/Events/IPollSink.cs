namespace KvmSharp.Core.Events;

/// <summary>
/// Something a loop can look at directly before it sleeps, instead of waiting for a wake-up: a virtqueue, a completion ring. All
/// members run on the loop thread, between dispatches, never nested.
/// </summary>
public interface IPollSink
{
    /// <summary>A polling phase starts: notifications may be turned off, <see cref="Poll"/> will be called soon and often.</summary>
    void BeginPoll();

    /// <summary>Looks for work without a system call and does a bounded amount of it. True if there was some.</summary>
    bool Poll();

    /// <summary>The polling phase is over: turn notifications on again and do, or post, whatever arrived before that.</summary>
    void EndPoll();
}
