using System.CommandLine;
using System.Globalization;
using KvmSharp.Bench.VhostUser;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp bench vhost-user</c>: loads a disk behind a vhost-user socket, anybody's, and prints requests per second.</summary>
internal static class BenchVhostUserCommand
{
    private static readonly string[] s_names = ["--socket", "--op", "--depth", "--seconds"];

    public static ExitCode Execute(string[] args, CliOutput output)
    {
        BlkLoadOptions options = Parse(args);
        using var cancel = new CancelSignals();
        double[] rates = new BlkLoad(options).Run(cancel.Token);
        string spread = rates.Length == 1 ? "" : $", {rates.Length} disks from {rates.Min():0} to {rates.Max():0}";
        output.Out(string.Create(CultureInfo.InvariantCulture, $"{(options.Write ? "randwrite4k" : "randread4k")}.qd{options.Depth} {rates.Sum():0} IOPS{spread}\n"));
        return ExitCode.Success;
    }

    private static BlkLoadOptions Parse(string[] args)
    {
        var command = new Command("vhost-user");
        Option<string[]>[] options = [.. s_names.Select(name => new Option<string[]>(name) { Arity = ArgumentArity.OneOrMore })];
        foreach (Option<string[]> option in options)
            command.Add(option);
        ParseResult result = command.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, [.. s_names, "--help"]);
        string[] sockets = result.GetResult(options[0]) is { Implicit: false } given ? [.. given.Tokens.Select(t => t.Value)] : [];
        string? Value(int option) => BenchOptions.Single(result, options[option]);
        if (sockets.Length == 0)
            throw new ConfigException("bench vhost-user needs --socket", "kvmsharp serve blk --image disk.img --socket disk.sock");
        bool write = Value(1) switch
        {
            null or "randread" => false,
            "randwrite" => true,
            string text => throw new ConfigException($"--op must be randread or randwrite, not '{Printable.Line(text)}'"),
        };
        int depth = Number(Value(2), "--depth", BlkLoadOptions.MaxDepth) ?? 1, seconds = Number(Value(3), "--seconds", BlkLoadOptions.MaxSeconds) ?? 3;
        CommandLineErrors.ThrowIfAny(result);
        return new BlkLoadOptions { Sockets = sockets, Write = write, Depth = depth, Seconds = seconds };
    }

    private static int? Number(string? text, string name, int max) => text is null ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= 1 && value <= max ? value
        : throw new ConfigException($"{name} must be a number between 1 and {max}, not '{Printable.Line(text)}'");
}
