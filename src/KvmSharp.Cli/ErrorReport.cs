using KvmSharp.Abi;
using KvmSharp.Backends;
using KvmSharp.Bench;
using KvmSharp.Core;
using KvmSharp.Kvm;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Config;
using KvmSharp.Sandbox;

namespace KvmSharp.Cli;

/// <summary>Turns an exception into one line, a hint where one helps, and the exit code.</summary>
internal static class ErrorReport
{
    /// <param name="debug">Show where an internal error came from.</param>
    public static ExitCode Report(Exception error, CliOutput output, bool debug)
    {
        // The host may refuse what a type needs when it is first used.
        if (error is TypeInitializationException { InnerException: { } cause })
            error = cause;
        switch (error)
        {
            case ConfigException config:
                output.Error(OneLine(config.Message), config.Hint);
                return ExitCode.BadUsage;
            case BackendException { IsHostLimit: true }:
                output.Error(OneLine(error.Message));
                return ExitCode.HostCannot;
            case BootException or BackendException:
                output.Error(OneLine(error.Message));
                return ExitCode.BadUsage;
            case SandboxException { IsBadInput: false }:
                output.Error(OneLine(error.Message));
                return ExitCode.HostCannot;
            case SandboxException:
                output.Error(OneLine(error.Message));
                return ExitCode.BadUsage;
            case BenchException:
                output.Error(OneLine(error.Message));
                return ExitCode.HostCannot;
            case OperationCanceledException:
                output.Error("stopped");
                return ExitCode.Stopped;
            case KvmUnsupportedException:
                output.Error(OneLine(error.Message), "kvmsharp check lists what this host offers");
                return ExitCode.HostCannot;
            case KvmDeviceException device:
                output.Error(OneLine(device.Message), device.Hint);
                return ExitCode.HostCannot;
            case LinuxException linux:
                output.Error(OneLine(linux.Message), Hint(linux));
                return ExitCode.HostCannot;
            case OutOfMemoryException:
                output.Error("out of memory", "give the guest less with --memory");
                return ExitCode.HostCannot;
            default:
                output.Error($"internal error: {OneLine(error.Message)}; run with --log-level debug for more");
                if (debug)
                    output.Error(error.ToString());
                return ExitCode.Internal;
        }
    }

    // An error that already says what to do needs no second advice.
    private static string? Hint(LinuxException error) => error.Errno switch
    {
        _ when error.Message.Contains("; ", StringComparison.Ordinal) => null,
        LibcConstants.ENOMEM or LibcConstants.ENOSPC or LibcConstants.EFBIG => "give the guest less with --memory, or free memory or huge pages on the host",
        LibcConstants.EAGAIN or LibcConstants.EPERM when error.Operation.Contains("mlock", StringComparison.Ordinal) => "raise the memlock limit (ulimit -l) or leave lock=on out",
        LibcConstants.EMFILE => "raise the limit of open files (ulimit -n)",
        _ => null,
    };

    private static string OneLine(string text) => text.ReplaceLineEndings(" ").Trim();
}
