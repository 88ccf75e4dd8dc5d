using System.CommandLine;
using System.CommandLine.Parsing;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary>What <c>kvmsharp run</c> was asked for: the machine, and the two options that are not part of one.</summary>
/// <param name="DryRun">Check and print, do not run.</param>
internal sealed record RunOptions(MachineConfig Config, bool DryRun)
{
    /// <summary>Throws <see cref="ConfigException"/> for anything wrong on the command line or in the file it names.</summary>
    public static RunOptions Parse(string[] args)
    {
        var command = new Command("run");
        var config = new Option<string[]>("--config") { Arity = ArgumentArity.OneOrMore };
        var dryRun = new Option<bool>("--dry-run") { Arity = ArgumentArity.Zero };
        command.Add(config);
        command.Add(dryRun);
        IReadOnlyList<MachineOption> table = MachineOptions.All;
        var options = new Option<string[]>[table.Count];
        for (int i = 0; i < options.Length; i++)
        {
            options[i] = new Option<string[]>("--" + table[i].Name)
            {
                Arity = table[i].Arity switch
                {
                    OptionArity.Flag => ArgumentArity.Zero,
                    OptionArity.Optional => ArgumentArity.ZeroOrMore,
                    _ => ArgumentArity.OneOrMore,
                },
            };
            command.Add(options[i]);
        }

        ParseResult result = command.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, [.. table.Select(o => "--" + o.Name), "--config", "--dry-run", "--help"]);
        MachineConfigSource said = ReadCommandLine(result, table, options);
        CommandLineErrors.ThrowIfAny(result);
        bool isDryRun = result.GetResult(dryRun) is { Implicit: false };
        return result.GetResult(config) is { Implicit: false } file
            ? new(MachineConfigSource.Resolve(ReadFile(file), said), isDryRun)
            : new(MachineConfigSource.Resolve(said), isDryRun);
    }

    private static MachineConfigSource ReadFile(OptionResult file)
    {
        if (file.Tokens.Count == 0)
            throw new ConfigException("--config needs a value: --config FILE");
        return file.Tokens.Count > 1 ? throw new ConfigException("--config is given twice") : MachineConfigJson.ReadFile(file.Tokens[0].Value);
    }

    private static MachineConfigSource ReadCommandLine(ParseResult result, IReadOnlyList<MachineOption> table, Option<string[]>[] options)
    {
        var said = new MachineConfigSource();
        for (int i = 0; i < options.Length; i++)
        {
            if (result.GetResult(options[i]) is not { Implicit: false } given)
                continue;
            MachineOption option = table[i];
            string where = "--" + option.Name;
            bool bare = given.Tokens.Count < given.IdentifierTokenCount;
            if (bare && option.Arity is not (OptionArity.Flag or OptionArity.Optional))
                throw new ConfigException($"{where} needs a value: {where} {option.ValueName}");
            foreach (Token token in given.Tokens)
                said.Add(option, OptionText.Parse(option, token.Value, where));
            for (int k = given.Tokens.Count; k < given.IdentifierTokenCount; k++)
                said.Add(option, new OptionValues(where));
        }

        return said;
    }
}
