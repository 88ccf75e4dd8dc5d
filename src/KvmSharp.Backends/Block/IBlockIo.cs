using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>
/// An I/O engine of one queue. All members but <see cref="Completion"/> belong to one thread, the queue's loop (the first call of
/// <see cref="Submit"/> binds it); nothing allocates, blocks (but <see cref="Drain"/>) or throws.
/// </summary>
public interface IBlockIo : IDisposable
{
    /// <summary>Readable when <see cref="Reap"/> has something to do; drained by <see cref="Reap"/>.</summary>
    EventFd Completion { get; }

    /// <summary>Requests that were enqueued and have not completed.</summary>
    int InFlight { get; }

    /// <summary>A hint without a system call that <see cref="Reap"/> would find something: for polling.</summary>
    bool HasCompletions { get; }

    /// <summary>True: most requests are finished when <see cref="TryEnqueue"/> returns.</summary>
    bool CompletesAtOnce { get; }

    /// <summary>False: <see cref="Completion"/> need not be signalled, the owner polls. Turn on again, then look once more, before sleeping.</summary>
    void SetCompletionEvents(bool enabled);

    /// <summary>Takes a copy of the request. False if as many as the engine's depth are in flight: reap first.</summary>
    bool TryEnqueue(in BlockRequest request);

    /// <summary>
    /// Hands everything enqueued to the host, in one system call where possible. What is finished when it returns is not signalled:
    /// <see cref="Reap"/> follows.
    /// </summary>
    void Submit();

    /// <summary>Reports what has completed, on this thread, to the sink. Returns how many requests.</summary>
    int Reap();

    /// <summary>Submits and reaps until nothing is in flight.</summary>
    void Drain();
}
