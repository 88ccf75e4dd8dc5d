namespace KvmSharp.Cli;

/// <summary>
/// The status the program ends with. A guest's debug-exit gives odd numbers (<c>value &lt;&lt; 1 | 1</c>), so everything of ours is even.
/// </summary>
internal enum ExitCode
{
    /// <summary>The guest powered off, or reset under --no-reboot; the user quit; or the command did what it should.</summary>
    Success = 0,

    /// <summary>The command line, the configuration, or a file they name is wrong, or asks for more than KVM allows.</summary>
    BadUsage = 2,

    /// <summary>This host cannot do it: no KVM, no permission, a missing capability, not enough memory.</summary>
    HostCannot = 4,

    /// <summary>The guest panicked, or hit a triple fault under --no-reboot.</summary>
    GuestFailed = 6,

    /// <summary>The program or KVM failed.</summary>
    Internal = 8,

    /// <summary>A signal ended the guest: it did not power off within the grace period, or was not asked to.</summary>
    Stopped = 10,

    /// <summary>The sandbox ended the program for a system call that its thread has not (native-shims/sandbox.h).</summary>
    Violation = 12,
}
