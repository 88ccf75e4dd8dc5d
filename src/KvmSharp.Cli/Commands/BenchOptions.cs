using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using KvmSharp.Bench.Paths;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary>What <c>kvmsharp bench</c> was asked for.</summary>
internal sealed record BenchOptions
{
    private const int MaxRounds = 1000, MaxMilliseconds = 60_000;

    public required PathOptions Paths { get; init; }

    public string? Json { get; init; }

    public string? Html { get; init; }

    public string? Compare { get; init; }

    /// <summary>Files that are written.</summary>
    public IEnumerable<string> Targets => new[] { Json, Html }.OfType<string>();

    /// <summary>Throws <see cref="ConfigException"/> for anything wrong on the command line.</summary>
    public static BenchOptions Parse(string bench, string[] args)
    {
        var command = new Command(bench);
        Option<string[]>[] options = [.. Names.Select(name => new Option<string[]>(name) { Arity = ArgumentArity.OneOrMore })];
        foreach (Option<string[]> option in options)
            command.Add(option);
        var noNet = new Option<bool>("--no-net") { Arity = ArgumentArity.Zero };
        var noDisk = new Option<bool>("--no-disk") { Arity = ArgumentArity.Zero };
        command.Add(noNet);
        command.Add(noDisk);
        ParseResult result = command.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, [.. Names, "--no-net", "--no-disk", "--help"]);
        var given = options.Select(o => (o.Name, Value: Single(result, o))).Where(o => o.Value is not null).ToDictionary(o => o.Name, o => o.Value!);
        CommandLineErrors.ThrowIfAny(result);
        var defaults = new PathOptions();
        var paths = new PathOptions
        {
            Rounds = Number(given, "--rounds", 1, MaxRounds) ?? defaults.Rounds,
            WarmupMs = Number(given, "--warmup", 0, MaxMilliseconds) ?? defaults.WarmupMs,
            MeasureMs = Number(given, "--measure", 1, MaxMilliseconds) ?? defaults.MeasureMs,
            Disk = given.GetValueOrDefault("--disk"),
            Tap = given.GetValueOrDefault("--tap"),
            WithDisk = result.GetResult(noDisk) is not { Implicit: false },
            WithNet = result.GetResult(noNet) is not { Implicit: false },
            Peer = given.TryGetValue("--peer", out string? peer) ? ReadPeer(peer) : null,
            KvmDevice = given.GetValueOrDefault("--kvm-device") ?? defaults.KvmDevice,
        };
        if (!paths.WithDisk && !paths.WithNet)
            throw new ConfigException("--no-disk and --no-net leave nothing to measure");
        return new BenchOptions { Paths = paths, Json = given.GetValueOrDefault("--json"), Html = given.GetValueOrDefault("--html"), Compare = given.GetValueOrDefault("--compare") };
    }

    public static IReadOnlyList<string> Names { get; } = ["--rounds", "--warmup", "--measure", "--disk", "--tap", "--peer", "--json", "--html", "--compare", "--kvm-device"];

    private static string? Single(ParseResult result, Option<string[]> option)
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
