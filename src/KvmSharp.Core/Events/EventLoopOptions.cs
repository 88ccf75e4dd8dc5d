namespace KvmSharp.Core.Events;

/// <summary>How an <see cref="EventLoop"/> runs.</summary>
public sealed record EventLoopOptions
{
    /// <summary>Thread name; the kernel shows the first 15 bytes.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Longest busy polling before sleeping, in nanoseconds; 0 never polls. Polls only while an <see cref="IPollSink"/> is there. Null leaves it to what
    /// waking a thread takes this host: eight times that, between 65,536 and 1,000,000; 65,536 where the process has one CPU.
    /// </summary>
    public long? PollMaxNs { get; init; } = PollTimer.LeastBoundNs;

    /// <summary>Factor by which the polling time grows, as often as it takes to have caught the last event.</summary>
    public int PollGrow { get; init; } = 2;

    /// <summary>Divisor by which it shrinks when the event came long after; 0 sets it to zero at once.</summary>
    public int PollShrink { get; init; }

    /// <summary>Host CPUs the thread may run on; empty leaves it where the process may run.</summary>
    public IReadOnlyList<int> Cpus { get; init; } = [];

    /// <summary>A system call of the thread can be interrupted from outside (<see cref="EventLoop.Interrupt"/>).</summary>
    public bool Interruptible { get; init; }

    /// <summary>Told of an exception that left a sink, on the loop's thread, which then ends. Null: written to standard error.</summary>
    public Action<Exception>? OnFailure { get; init; }
}
