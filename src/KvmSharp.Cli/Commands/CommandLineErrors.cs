using System.CommandLine;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary>Command line errors in our own words, with a suggestion.</summary>
internal static class CommandLineErrors
{
    public static void ThrowIfUnmatched(ParseResult result, IReadOnlyList<string> known)
    {
        if (result.UnmatchedTokens.Count == 0)
            return;
        string token = result.UnmatchedTokens[0];
        if (!token.StartsWith('-'))
            throw new ConfigException($"unexpected argument '{Printable.Line(token)}'", "every setting is an option; quote values that contain spaces");
        string name = token.Split('=')[0];
        string? closest = Suggestion.Closest(name, known);
        throw new ConfigException($"unknown option '{Printable.Line(name)}'", closest is null ? "kvmsharp run --help lists the options" : $"did you mean {closest}?");
    }

    public static void ThrowIfAny(ParseResult result)
    {
        if (result.Errors.Count > 0)
            throw new ConfigException(Printable.Line(result.Errors[0].Message.TrimEnd('.')));
    }
}
