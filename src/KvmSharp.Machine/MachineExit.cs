namespace KvmSharp.Machine;

/// <summary>Why a machine came to its end.</summary>
public enum MachineExitKind
{
    /// <summary>The guest powered itself off (ACPI S5).</summary>
    PowerOff,

    /// <summary>The guest asked for a reset and the machine was told not to reboot.</summary>
    Reset,

    /// <summary>A triple fault with reboot turned off.</summary>
    TripleFault,

    /// <summary>The guest reported a panic through pvpanic or a crash event.</summary>
    GuestPanic,

    /// <summary>The guest wrote to the ISA debug-exit port; <see cref="MachineExit.Status"/> is what it asked for.</summary>
    DebugExit,

    /// <summary>The host asked the machine to stop.</summary>
    Stopped,

    /// <summary>KVM or the program itself failed; <see cref="MachineExit.Message"/> says how.</summary>
    InternalError,
}

/// <summary>The end of a machine.</summary>
/// <param name="Kind">What ended it.</param>
/// <param name="Status">For <see cref="MachineExitKind.DebugExit"/> the odd process status; otherwise 0.</param>
/// <param name="Message">One or more lines for the user; null when there is nothing to say.</param>
public sealed record MachineExit(MachineExitKind Kind, int Status = 0, string? Message = null);
