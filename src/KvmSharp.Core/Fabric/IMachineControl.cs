namespace KvmSharp.Core.Fabric;

/// <summary>What the guest asked of the machine as a whole. Raised by devices on vCPU threads; acted on by the machine's control thread.</summary>
public enum MachineRequest
{
    /// <summary>ACPI S5 or an equivalent power-off.</summary>
    PowerOff,

    /// <summary>Reset register, i8042, CF9.</summary>
    Reset,

    /// <summary>The guest kernel panicked and said so (pvpanic). The guest may still want to write a crash dump: it is not stopped for it.</summary>
    GuestPanic,
}

/// <summary>Takes requests about the whole machine from devices. Returns at once; safe on any thread.</summary>
public interface IMachineControl
{
    void Request(MachineRequest request);

    /// <summary>ISA debug-exit: the process ends with this status, <c>value &lt;&lt; 1 | 1</c>.</summary>
    void RequestExit(int status);
}
