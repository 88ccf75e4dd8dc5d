using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using KvmSharp.Machine.Config;
using KvmSharp.Serve;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Cli.Commands;

/// <summary>What <c>kvmsharp serve</c> was asked for.</summary>
/// <param name="Type">What all ports of the command line are.</param>
/// <param name="Ports">What each is made of, and its socket.</param>
/// <param name="ControlPath">Where ports are added and removed; null: nowhere.</param>
internal sealed record ServeArguments(IServedType Type, IReadOnlyList<(OptionValues Values, string Socket)> Ports, ServeOptions Options, string? ControlPath, LogLevel LogLevel)
{
    private static readonly string[] s_levels = ["error", "warning", "info", "debug", "trace"];

    /// <summary>Throws <see cref="ConfigException"/> for anything wrong on the command line.</summary>
    public static ServeArguments Parse(string[] args)
    {
        if (args.Length == 0)
            throw new ConfigException("serve what?", $"there is {string.Join(", ", ServedTypes.All.Select(t => t.Name))}: kvmsharp serve blk --image disk.img --socket disk.sock");
        IServedType type = ServedTypes.Find(args[0]);
        string portOption = "--" + type.PortOption.Name;
        var command = new Command(type.Name);
        Option<string[]> port = Add(command, portOption), socket = Add(command, "--socket"), threads = Add(command, "--iothreads"),
            control = Add(command, "--control"), level = Add(command, "--log-level");
        var poll = new Option<bool>("--poll") { Arity = ArgumentArity.Zero };
        command.Add(poll);
        ParseResult result = command.Parse(args[1..], new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, [portOption, "--socket", "--iothreads", "--poll", "--control", "--log-level", "--help"]);
        string[] ports = Values(result, port), sockets = Values(result, socket);
        string? controlPath = Single(result, control);
        int ioThreads = ReadThreads(Single(result, threads));
        LogLevel logLevel = ReadLevel(Single(result, level));
        CommandLineErrors.ThrowIfAny(result);
        if (ports.Length != sockets.Length)
            throw new ConfigException($"{ports.Length} times {portOption} and {sockets.Length} times --socket", $"each {portOption} has a --socket, in the same order");
        if (ports.Length == 0 && controlPath is null)
            throw new ConfigException($"serve {type.Name} needs {portOption} and --socket, or --control", $"kvmsharp serve {type.Name} --help says more");
        return new ServeArguments(
            type, [.. ports.Zip(sockets, (text, path) => (OptionText.Parse(type.PortOption, text, portOption), path))],
            new ServeOptions { IoThreads = ioThreads, Poll = result.GetResult(poll) is { Implicit: false } }, controlPath, logLevel);
    }

    private static Option<string[]> Add(Command command, string name)
    {
        var option = new Option<string[]>(name) { Arity = ArgumentArity.OneOrMore };
        command.Add(option);
        return option;
    }

    private static string[] Values(ParseResult result, Option<string[]> option)
    {
        if (result.GetResult(option) is not { Implicit: false } given)
            return [];
        string[] values = [.. given.Tokens.Select(t => t.Value)];
        return values.Length >= given.IdentifierTokenCount && values.All(v => v.Length > 0) ? values : throw new ConfigException($"{option.Name} needs a value");
    }

    private static string? Single(ParseResult result, Option<string[]> option) => Values(result, option) switch
    {
        [] => null,
        [var value] => value,
        _ => throw new ConfigException($"{option.Name} is given twice"),
    };

    private static int ReadThreads(string? text) => text is null ? 1
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads is >= 1 and <= ServeOptions.MaxIoThreads ? threads
        : throw new ConfigException($"--iothreads must be a number between 1 and {ServeOptions.MaxIoThreads}, not '{Printable.Line(text)}'");

    private static LogLevel ReadLevel(string? text) => text is null ? LogLevel.Warning : Array.IndexOf(s_levels, text) switch
    {
        0 => LogLevel.Error,
        1 => LogLevel.Warning,
        2 => LogLevel.Information,
        3 => LogLevel.Debug,
        4 => LogLevel.Trace,
        _ => throw new ConfigException($"--log-level '{Printable.Line(text)}' is not one of {string.Join(", ", s_levels)}"),
    };
}
