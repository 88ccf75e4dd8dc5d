namespace KvmSharp.Bench.Paths;

/// <summary>The bench guest as it runs in some VMM. One thread uses it; it ends what runs when disposed.</summary>
internal interface IGuestRun : IDisposable
{
    /// <summary>The next byte from the guest's serial port; -1 when the VMM has ended.</summary>
    int ReadByte();

    /// <summary>Answers a mark: one byte to the guest's serial port.</summary>
    void Answer();

    /// <summary>The VMM's.</summary>
    int ProcessId { get; }

    /// <summary>Exits to the VMM up to now, by its own count; null where it does not say.</summary>
    long? ReadExits();

    /// <summary>CPU time of the VMM's threads up to now, its guest's included.</summary>
    CpuTimes ReadCpu();

    /// <summary>Ends it from outside. Any thread.</summary>
    void Stop();

    /// <summary>After the end: null if it was the guest's own, else what happened, in one line.</summary>
    string? ReadFailure();
}
