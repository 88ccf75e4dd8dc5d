namespace KvmSharp.Core;

/// <summary>What a thread is for. A confined program allows each role other system calls. The numbers are those of native-shims/sandbox.c.</summary>
public enum ThreadRole
{
    /// <summary>The threads that the runtime makes, and helpers that no guest's data path waits for: consoles, timers, the trace.</summary>
    Runtime = 0,

    /// <summary>Starts, rebuilds and ends the machine.</summary>
    Control = 1,

    /// <summary>Runs a virtual processor.</summary>
    Vcpu = 2,

    /// <summary>Moves data between queues of the guest and the host: I/O threads and the workers of disks.</summary>
    Io = 3,
}
