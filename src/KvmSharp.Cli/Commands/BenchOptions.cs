using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using KvmSharp.Bench.Guest;
using KvmSharp.Bench.Paths;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary>What <c>kvmsharp bench</c> was asked for.</summary>
internal sealed record BenchOptions
{
    private const int MaxRounds = 1000, MaxMilliseconds = 60_000, MaxSeconds = 600, DefaultExitRounds = 120;

    private static readonly string[] s_common = ["--rounds", "--json", "--html", "--compare"];
    private static readonly string[] s_ofPaths = ["--warmup", "--measure", "--disk", "--tap", "--peer", "--kvm-device"];
    private static readonly string[] s_ofGuest = ["--kernel", "--initrd", "--paths", "--seconds", "--disk", "--peer", "--kvm-device"];
    private static readonly string[] s_flags = ["--no-disk", "--no-net"];

    /// <summary>For <c>bench paths</c>.</summary>
    public PathOptions Paths { get; init; } = new();

    /// <summary>For <c>bench guest</c>; null when that was not asked for.</summary>
    public GuestOptions? Guest { get; init; }

    /// <summary>Rounds of <c>bench exits</c>; null when that was not asked for.</summary>
    public int? Exits { get; init; }

    public string? Json { get; init; }

    public string? Html { get; init; }

    public string? Compare { get; init; }

    /// <summary>Where a trace of <c>bench exits</c> goes, to see what tracing costs.</summary>
    public string? Trace { get; init; }

    /// <summary>Files that are written.</summary>
    public IEnumerable<string> Targets => new[] { Json, Html, Trace }.OfType<string>();

    /// <summary>Throws <see cref="ConfigException"/> for anything wrong on the command line.</summary>
    public static BenchOptions Parse(string bench, string[] args)
    {
        var command = new Command(bench);
        string[] names = NamesOf(bench);
        Option<string[]>[] options = [.. names.Except(s_flags).Select(name => new Option<string[]>(name) { Arity = ArgumentArity.OneOrMore })];
        Option<bool>[] flags = [.. names.Intersect(s_flags).Select(name => new Option<bool>(name) { Arity = ArgumentArity.Zero })];
        foreach (Option option in options.Concat<Option>(flags))
            command.Add(option);
        ParseResult result = command.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, [.. names, "--help"]);
        var given = options.Select(o => (o.Name, Value: Single(result, o))).Where(o => o.Value is not null).ToDictionary(o => o.Name, o => o.Value!);
        CommandLineErrors.ThrowIfAny(result);
        bool Said(string flag) => flags.FirstOrDefault(f => f.Name == flag) is { } option && result.GetResult(option) is { Implicit: false };
        bool exits = bench == "exits";
        return new BenchOptions
        {
            Exits = exits ? Number(given, "--rounds", 1, MaxRounds) ?? DefaultExitRounds : null,
            Guest = bench == "guest" ? ReadGuest(given) : null,
            Paths = bench != "paths" ? new PathOptions() : ReadPaths(given, !Said("--no-disk"), !Said("--no-net")),
            Json = given.GetValueOrDefault("--json"),
            Html = given.GetValueOrDefault("--html"),
            Compare = given.GetValueOrDefault("--compare"),
            Trace = given.GetValueOrDefault("--trace"),
        };
    }

    /// <summary>The options of a benchmark.</summary>
    public static string[] NamesOf(string bench) => bench switch
    {
        "exits" => [.. s_common, "--trace"],
        "guest" => [.. s_common, .. s_ofGuest],
        _ => [.. s_common, .. s_ofPaths, .. s_flags],
    };

    private static GuestOptions ReadGuest(Dictionary<string, string> given)
    {
        var defaults = new GuestOptions { Kernel = ReadFile(given, "--kernel"), Initrd = ReadFile(given, "--initrd") };
        return defaults with
        {
            Rounds = Number(given, "--rounds", 1, MaxRounds) ?? defaults.Rounds,
            Seconds = Number(given, "--seconds", 1, MaxSeconds) ?? defaults.Seconds,
            Paths = given.TryGetValue("--paths", out string? paths) ? ReadGuestPaths(paths) : defaults.Paths,
            Disk = given.ContainsKey("--disk") ? ReadFile(given, "--disk") : null,
            Peer = given.TryGetValue("--peer", out string? peer) ? ReadPeer(peer) : null,
            KvmDevice = given.GetValueOrDefault("--kvm-device") ?? defaults.KvmDevice,
        };
    }

    private static string ReadFile(Dictionary<string, string> given, string name)
    {
        if (!given.TryGetValue(name, out string? path))
            throw new ConfigException($"bench guest needs {name}", "scripts/guest.sh makes a kernel and an initramfs that it can use; docs/benchmarks.md says how");
        return File.Exists(path) ? path : throw new ConfigException($"{name} {Printable.Line(path)}: no such file");
    }

    /// <summary>Names of paths with commas between them, each once.</summary>
    private static IReadOnlyList<GuestPath> ReadGuestPaths(string text)
    {
        string[] known = [.. GuestPath.All.Select(p => p.Name)], names = text.Split(',');
        foreach (string name in names.Where(n => !known.Contains(n)))
            throw new ConfigException($"--paths: '{Printable.Line(name)}' is not known", $"there are {string.Join(", ", known)}");
        return names.Distinct().Count() == names.Length ? [.. names.Select(n => GuestPath.All.First(p => p.Name == n))] : throw new ConfigException("--paths: a path is given twice");
    }

    private static PathOptions ReadPaths(Dictionary<string, string> given, bool withDisk, bool withNet)
    {
        if (!withDisk && !withNet)
            throw new ConfigException("--no-disk and --no-net leave nothing to measure");
        var defaults = new PathOptions();
        return new PathOptions
        {
            Rounds = Number(given, "--rounds", 1, MaxRounds) ?? defaults.Rounds,
            WarmupMs = Number(given, "--warmup", 0, MaxMilliseconds) ?? defaults.WarmupMs,
            MeasureMs = Number(given, "--measure", 1, MaxMilliseconds) ?? defaults.MeasureMs,
            Disk = given.GetValueOrDefault("--disk"),
            Tap = given.GetValueOrDefault("--tap"),
            WithDisk = withDisk,
            WithNet = withNet,
            Peer = given.TryGetValue("--peer", out string? peer) ? ReadPeer(peer) : null,
            KvmDevice = given.GetValueOrDefault("--kvm-device") ?? defaults.KvmDevice,
        };
    }

    internal static string? Single(ParseResult result, Option<string[]> option)
    {
        if (result.GetResult(option) is not { Implicit: false } given)
            return null;
        if (given.IdentifierTokenCount > 1)
            throw new ConfigException($"{option.Name} is given twice");
        return given.Tokens.Count == 1 && given.Tokens[0].Value.Length > 0 ? given.Tokens[0].Value : throw new ConfigException($"{option.Name} needs one value");
    }

    private static int? Number(Dictionary<string, string> given, string name, int min, int max)
    {
        if (!given.TryGetValue(name, out string? text))
            return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= min && value <= max ? value
            : throw new ConfigException($"{name} must be a number between {min} and {max}, not '{Printable.Line(text)}'");
    }

    /// <summary><c>qemu[,accel=kvm|tcg][,program=FILE]</c></summary>
    private static QemuPeer ReadPeer(string text)
    {
        string[] words = text.Split(',');
        if (words[0] != "qemu")
            throw new ConfigException($"--peer '{Printable.Line(words[0])}' is not known", "qemu is the only one: --peer qemu");
        var peer = new QemuPeer();
        foreach (string word in words[1..])
        {
            peer = word.Split('=', 2) switch
            {
                ["accel", "kvm" or "tcg"] and [_, var accelerator] => peer with { Accelerator = accelerator },
                ["accel", ..] => throw new ConfigException("--peer: accel must be kvm or tcg"),
                ["program", { Length: > 0 } program] => peer with { Program = program },
                _ => throw new ConfigException($"--peer: '{Printable.Line(word)}' is not known", "--peer qemu[,accel=kvm|tcg][,program=FILE]"),
            };
        }

        return peer;
    }
}
