using KvmSharp.Bench.Exits;
using KvmSharp.Bench.Guest;
using KvmSharp.Bench.Paths;
using KvmSharp.Bench.Report;
using KvmSharp.Core.Tracing;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp bench paths|guest|exits</c>: measures, prints a table, writes what else was asked for.</summary>
internal static class BenchCommand
{
    private static readonly string[] s_benches = ["paths", "guest", "exits"];
    private const string VhostUser = "vhost-user";

    public static ExitCode Execute(string[] args, CliOutput output)
    {
        if (args.Length == 0)
            throw new ConfigException($"bench needs to know what to measure: {string.Join(", ", s_benches[..^1])} or {s_benches[^1]}", "kvmsharp bench --help says more");
        if (args[0] == VhostUser)
            return BenchVhostUserCommand.Execute(args[1..], output);
        if (!s_benches.Contains(args[0]))
        {
            string? closest = Suggestion.Closest(args[0], s_benches);
            throw new ConfigException($"no benchmark '{Printable.Line(args[0])}'", closest is null ? $"there are {string.Join(", ", s_benches[..^1])} and {s_benches[^1]}" : $"did you mean {closest}?");
        }

        BenchOptions options = BenchOptions.Parse(args[0], args[1..]);
        // Found to be wrong now, not after minutes of measuring.
        BenchReport? older = options.Compare is { } file ? ReportJson.ReadFile(file) : null;
        if (older is not null && older.Bench != args[0])
            throw new ConfigException($"{options.Compare} is a report of bench {older.Bench}, not of bench {args[0]}");
        foreach (string target in options.Targets)
            CheckTarget(target);
        BenchReport report = Measure(options, output);
        output.Out(ReportTable.Write(report));
        if (older is not null)
            output.Out(Comparison.Write(older, report));
        if (options.Json is { } json)
            WriteFile(json, ReportJson.Write(report));
        if (options.Html is { } html)
            WriteFile(html, ReportPage.Write(report));
        return ExitCode.Success;
    }

    private static BenchReport Measure(BenchOptions options, CliOutput output)
    {
        using var cancel = new CancelSignals();
        var loggers = new StderrLoggerFactory(LogLevel.Warning, output);
        void Progress(string what) => output.Error(what);
        using TraceSession? trace = options.Trace is { } path ? TraceOutput.Start(new TraceConfig(path, TraceOptions.DefaultLimitBytes), "kvmsharp bench", loggers) : null;
        return options.Exits is { } rounds ? new ExitBench(rounds, Progress).Run(cancel.Token)
            : options.Guest is { } guest ? new GuestBench(guest, loggers, Progress).Run(cancel.Token)
            : new PathBench(options.Paths, loggers, Progress).Run(cancel.Token);
    }

    private static void CheckTarget(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        if (Directory.Exists(path))
            throw new ConfigException($"cannot write {path}: it is a directory");
        if (!Directory.Exists(folder))
            throw new ConfigException($"cannot write {path}: there is no directory {folder}");
    }

    private static void WriteFile(string path, string text)
    {
        try
        {
            File.WriteAllText(path, text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"cannot write {path}: {e.Message}");
        }
    }
}
