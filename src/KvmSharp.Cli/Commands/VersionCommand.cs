using System.Runtime.CompilerServices;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp version</c>.</summary>
internal static class VersionCommand
{
    public static ExitCode Execute(string[] args, CliOutput output)
    {
        if (args.Length > 0)
            throw new ConfigException($"version takes no arguments, not '{Printable.Line(args[0])}'");
        string version = typeof(VersionCommand).Assembly.GetName().Version?.ToString(3) ?? "unknown";
        string mode = RuntimeFeature.IsDynamicCodeSupported ? "managed" : "native";
        output.Out($"kvmsharp {version} (.NET {Environment.Version}, {mode})\n");
        return ExitCode.Success;
    }
}
