using KvmSharp.Cli.Commands;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli;

/// <summary>Chooses the command and turns whatever goes wrong into one line and an exit code. Only the chosen command's parser is ever built.</summary>
internal static class KvmSharpProgram
{
    private static readonly string[] s_commands = ["run", "check", "version", "bench", "serve", "completion", "help"];

    public static ExitCode Run(string[] args, CliOutput output)
    {
        try
        {
            return Dispatch(args, output);
        }
        catch (Exception e)
        {
            return ErrorReport.Report(e, output, debug: IsDebug(args));
        }
    }

    private static ExitCode Dispatch(string[] args, CliOutput output)
    {
        string command = args.Length == 0 ? "" : args[0];
        string[] rest = args.Length == 0 ? [] : args[1..];
        if (command is "run" or "check" or "bench" or "serve" or "version" or "completion" && WantsHelp(rest))
            (rest, command) = ([command], "help");
        switch (command)
        {
            case "run":
                return RunCommand.Execute(rest, output);
            case "check":
                return CheckCommand.Execute(rest, output);
            case "bench":
                return BenchCommand.Execute(rest, output);
            case "serve":
                return ServeCommand.Execute(rest, output);
            case "version" or "--version":
                return VersionCommand.Execute(rest, output);
            case "completion":
                return CompletionCommand.Execute(rest, output);
            case "help" or "--help" or "-h":
                return HelpText.Print(rest, output);
            case "":
                output.Error("no command given", "kvmsharp run --kernel /boot/vmlinuz boots a kernel; kvmsharp --help says more");
                return ExitCode.BadUsage;
            default:
                string? closest = Suggestion.Closest(command, s_commands);
                string hint = command.StartsWith("--", StringComparison.Ordinal) ? $"options follow a command: kvmsharp run {Printable.Line(command)}"
                    : closest is not null ? $"did you mean {closest}?" : "kvmsharp --help lists the commands";
                output.Error($"unknown command '{Printable.Line(command)}'", hint);
                return ExitCode.BadUsage;
        }
    }

    // An option's value may be anything, also -h; only a help option in the place of an option counts.
    private static bool WantsHelp(string[] args)
    {
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] is "--help" or "-h" or "-?" && (i == 0 || !TakesValue(args[i - 1])))
                return true;
        }

        return false;
    }

    private static bool TakesValue(string option) =>
        option.StartsWith("--", StringComparison.Ordinal)
        && (option == "--config" || MachineOptions.Find(option[2..]) is { Arity: OptionArity.Single or OptionArity.Repeatable });

    private static bool IsDebug(string[] args)
    {
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] is "--log-level=debug" or "--log-level=trace" || (args[i] == "--log-level" && i + 1 < args.Length && args[i + 1] is "debug" or "trace"))
                return true;
        }

        return false;
    }
}
