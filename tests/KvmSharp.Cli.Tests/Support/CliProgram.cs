using System.Diagnostics;
using System.Text;

namespace KvmSharp.Cli.Tests.Support;

/// <summary>What a run of the program left: its status and what it printed.</summary>
internal sealed record CliResult(int Status, string Output, string Error);

/// <summary>Runs the program: in this process where that shows the same, as a process where signals, descriptors or the terminal matter.</summary>
internal static class CliProgram
{
    public const int TimeoutMs = 60_000;

    public static CliResult Run(params string[] args)
    {
        var output = new StringBuilder();
        var error = new StringBuilder();
        ExitCode status = KvmSharpProgram.Run(args, new CliOutput(t => output.Append(t), t => error.Append(t)));
        return new((int)status, output.ToString(), error.ToString());
    }

    public static Process Start(params string[] args) => StartProgram("dotnet", [ProgramPath, .. args]);

    /// <summary>Through a shell, where <c>"$@"</c> is the program and its arguments.</summary>
    public static Process StartShell(string script, params string[] args) => StartProgram("/bin/sh", ["-c", script, "sh", "dotnet", ProgramPath, .. args]);

    public static CliResult Finish(Process process)
    {
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(TimeoutMs))
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"the program did not end; it said: {error.Result}");
            }

            return new(process.ExitCode, output.Result, error.Result);
        }
    }

    public static void Signal(Process process, Mono.Unix.Native.Signum signal) => Assert.Equal(0, Mono.Unix.Native.Syscall.kill(process.Id, signal));

    private static string ProgramPath => Path.Combine(AppContext.BaseDirectory, "kvmsharp.dll");

    private static Process StartProgram(string program, string[] args) =>
        Process.Start(new ProcessStartInfo(program, args) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
}
