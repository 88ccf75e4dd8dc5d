namespace KvmSharp.Kvm.Vcpus;

/// <summary>Where a vCPU is in its life.</summary>
public enum VcpuState
{
    /// <summary>No thread yet.</summary>
    Created,

    /// <summary>Its thread executes guest code, or waits for an event in the kernel.</summary>
    Running,

    /// <summary>Its thread waits outside the kernel; all I/O of the last instruction is complete. Registers may be accessed.</summary>
    Paused,

    /// <summary>Its thread has ended, for good.</summary>
    Stopped,
}
