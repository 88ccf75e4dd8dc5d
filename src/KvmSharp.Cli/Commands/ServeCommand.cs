using System.Runtime.InteropServices;
using KvmSharp.Machine.Config;
using KvmSharp.Serve;
using KvmSharp.Serve.Control;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp serve</c>: devices for the guests of other programs, until a signal ends it.</summary>
internal static class ServeCommand
{
    public static ExitCode Execute(string[] args, CliOutput output)
    {
        ServeArguments arguments = ServeArguments.Parse(args);
        var loggers = new StderrLoggerFactory(arguments.LogLevel, output);
        using var stopped = new ManualResetEventSlim();
        Exception? failure = null;
        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stopped.Set();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        using (var host = new ServeHost(arguments.Options, loggers, error =>
        {
            failure = error;
            stopped.Set();
        }))
        {
            var ports = new PortFactory(host);
            foreach ((OptionValues values, string socket) in arguments.Ports)
                _ = ports.Add(arguments.Type, values, socket);
            using ControlSocket? control = arguments.ControlPath is { } path ? new ControlSocket(path, host, ports) : null;
            stopped.Wait();
        }

        if (failure is null)
            return ExitCode.Success;
        output.Error($"internal error: {failure.Message}");
        return ExitCode.Internal;
    }
}
