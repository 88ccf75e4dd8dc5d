using KvmSharp.Backends;
using KvmSharp.Backends.Char;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Chars;
using KvmSharp.Core.HostPaths;
using KvmSharp.Core.Tracing;
using KvmSharp.Machine;
using KvmSharp.Machine.Config;
using KvmSharp.Sandbox;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp run</c>: boots a machine and stays with it to its end.</summary>
internal static class RunCommand
{
    public static ExitCode Execute(string[] args, CliOutput output)
    {
        RunOptions options = RunOptions.Parse(args);
        MachineConfigValidator.Validate(options.Config);
        var loggers = new StderrLoggerFactory(options.Config.LogLevel, output);
        return options.DryRun ? DryRun(options.Config, loggers, output) : Run(options.Config, loggers, output);
    }

    private static ExitCode Run(MachineConfig config, StderrLoggerFactory loggers, CliOutput output)
    {
        HostThread.TakeRole(ThreadRole.Control);
        if (config.Trace is { } trace)
            TraceOutput.Check(trace.Path);
        using var sandbox = new RunSandbox(config.Sandbox, loggers);
        // Before memory is taken, which counts where the program is then.
        if (config.ControlGroup is { } group)
            ControlGroup.Join(group);
        using PidFile? pidFile = config.PidFile is { } path ? PidFile.Create(path, sandbox.Paths) : null;
        using var stop = new StopSignals(config.Grace, output);
        var host = new MachineHost
        {
            Loggers = loggers, OpenChar = (use, c) => OpenChar(use, c, sandbox.Paths, stop, output), Paths = sandbox.Paths, OnStuck = who => Leave(who, output),
            Stop = stop.Asked,
        };
        MachineExit exit;
        MachineStatistics statistics;
        using (Machine.Machine machine = Create(config, host))
        {
            // Not before the machine is there: one that cannot be made leaves no file.
            using TraceSession? session = config.Trace is { } file ? TraceOutput.Start(file, $"kvmsharp {config.Name}", loggers) : null;
            sandbox.Enter();
            stop.Attach(machine);
            using var pause = new PauseSignals(machine, output);
            exit = machine.Run();
            stop.Detach();
            statistics = machine.ReadStatistics();
        }

        // The console is restored by now, so that the last words do not end up in a raw terminal.
        if (config.Statistics)
            PrintStatistics(statistics, output);
        return Report(exit, stop, output);
    }

    /// <summary>What is stuck cannot be ended, only left. The exit handlers still put the terminal back.</summary>
    private static void Leave(string who, CliOutput output)
    {
        output.Error($"{who} does not stop, leaving it");
        Environment.Exit((int)ExitCode.Internal);
    }

    private static Machine.Machine Create(MachineConfig config, MachineHost host)
    {
        try
        {
            return Machine.Machine.Create(config, host);
        }
        catch (LinuxException e) when (e.Operation == $"open {config.KvmDevice}")
        {
            throw new KvmDeviceException(config.KvmDevice, e);
        }
    }

    /// <summary>One line a counter on standard error: <c>kvmsharp: exits KVM_EXIT_IO 747</c>, <c>exits total 749</c>, <c>device com1 146</c>.</summary>
    private static void PrintStatistics(MachineStatistics statistics, CliOutput output)
    {
        foreach (NamedCount exits in statistics.ExitsByReason)
            output.Error($"exits {exits.Name} {exits.Count}");
        output.Error($"exits total {statistics.ExitsByReason.Sum(e => e.Count)}");
        foreach (NamedCount device in statistics.ExitsByDevice)
            output.Error($"device {device.Name} {device.Count}");
    }

    private static ExitCode Report(MachineExit exit, StopSignals stop, CliOutput output)
    {
        switch (exit.Kind)
        {
            case MachineExitKind.PowerOff or MachineExitKind.Reset:
                return ExitCode.Success;
            case MachineExitKind.DebugExit:
                return (ExitCode)(exit.Status & 0xFF);
            case MachineExitKind.Stopped:
                return stop.IsUserQuit ? ExitCode.Success : ExitCode.Stopped;
            case MachineExitKind.GuestPanic or MachineExitKind.TripleFault:
                output.Error(exit.Message ?? exit.Kind.ToString());
                return ExitCode.GuestFailed;
            default:
                output.Error(exit.Message ?? "the machine failed");
                return ExitCode.Internal;
        }
    }

    /// <summary>Builds the whole machine on this host, kernel loaded and devices attached, with character devices and networks that touch nothing.</summary>
    private static ExitCode DryRun(MachineConfig config, StderrLoggerFactory loggers, CliOutput output)
    {
        if (config.PidFile is { } pidFile)
            PidFile.Check(pidFile);
        if (config.Trace is { } trace)
            TraceOutput.Check(trace.Path);
        foreach (CharUse use in config.Chars)
            CheckChar(use.Char);
        // Memory is not touched: a dry run must not take what the host needs for guests that run.
        MachineConfig probe = config with { Memory = config.Memory with { Preallocate = false, Lock = false } };
        using (Create(probe, new MachineHost { Loggers = loggers, OpenChar = (_, _) => new NullBackend(), OpenTap = CheckedTap.Check, IsRehearsal = true }))
        {
        }

        output.Out(MachineConfigJson.Write(config) + "\n");
        return ExitCode.Success;
    }

    private static void CheckChar(CharConfig config)
    {
        if (config.Path is not { } path)
            return;
        if (Directory.Exists(path))
            throw new BackendException($"cannot use {path}: it is a directory");
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        if (!Directory.Exists(folder))
            throw new BackendException($"cannot use {path}: there is no directory {folder}");
    }

    private static ICharBackend OpenChar(string use, CharConfig config, IHostPaths paths, StopSignals stop, CliOutput output)
    {
        switch (config.Kind)
        {
            case CharKind.Stdio:
                return new StdioBackend(stop.OnConsoleCommand);
            case CharKind.File:
                return new FileBackend(config.Path!);
            case CharKind.Unix:
                return new UnixSocketBackend(config.Path!, paths);
            case CharKind.Pty:
                var pty = new PtyBackend();
                output.Error($"{use} on {pty.Path}");
                return pty;
            default:
                return new NullBackend();
        }
    }
}
