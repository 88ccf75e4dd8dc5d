using System.Text;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp completion bash|zsh|fish</c>: prints a script that completes commands, options and their choices.</summary>
internal static class CompletionCommand
{
    private static readonly string[] s_shells = ["bash", "zsh", "fish"];
    private const string Commands = "run check bench serve version completion help";
    private static readonly string[] s_benchOptions = [.. BenchOptions.NamesOf("paths").Union(BenchOptions.NamesOf("guest"))];

    public static ExitCode Execute(string[] args, CliOutput output)
    {
        if (args.Length != 1)
            throw new ConfigException("completion needs one shell: bash, zsh or fish", "source <(kvmsharp completion bash)");
        switch (args[0])
        {
            case "bash":
                output.Out(Bash());
                return ExitCode.Success;
            case "zsh":
                output.Out("#compdef kvmsharp\nautoload -U +X bashcompinit && bashcompinit\n" + Bash());
                return ExitCode.Success;
            case "fish":
                output.Out(Fish());
                return ExitCode.Success;
            default:
                string? closest = Suggestion.Closest(args[0], s_shells);
                throw new ConfigException($"no completion for '{Printable.Line(args[0])}'", closest is null ? "there is bash, zsh and fish" : $"did you mean {closest}?");
        }
    }

    private static string Bash()
    {
        var text = new StringBuilder();
        text.Append("_kvmsharp() {\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n    COMPREPLY=()\n");
        text.Append($"    if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"{Commands}\" -- \"$cur\")); return; fi\n");
        text.Append("    case \"${COMP_WORDS[1]}\" in\n        run) ;;\n");
        text.Append("        check) COMPREPLY=($(compgen -W \"--json --kvm-device --help\" -- \"$cur\")); return ;;\n");
        text.Append($"        bench) COMPREPLY=($(compgen -W \"paths guest exits {string.Join(' ', s_benchOptions)} --help\" -- \"$cur\")); return ;;\n");
        text.Append("        serve) COMPREPLY=($(compgen -W \"blk net --image --port --socket --iothreads --poll --control --log-level --help\" -- \"$cur\") $(compgen -f -- \"$cur\")); return ;;\n");
        text.Append("        completion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\")); return ;;\n        *) return ;;\n    esac\n");
        text.Append("    case \"$prev\" in\n");
        foreach (MachineOption option in MachineOptions.All)
        {
            if (option.IsPath)
                text.Append($"        --{option.Name}) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
            else if (Choices(option) is { Length: > 0 } choices)
                text.Append($"        --{option.Name}) COMPREPLY=($(compgen -W \"{choices}\" -- \"$cur\")); return ;;\n");
        }

        text.Append("        --config) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n    esac\n");
        text.Append($"    COMPREPLY=($(compgen -W \"{string.Join(' ', MachineOptions.All.Select(o => "--" + o.Name))} --config --dry-run --help\" -- \"$cur\"))\n");
        return text.Append("}\ncomplete -o filenames -F _kvmsharp kvmsharp\n").ToString();
    }

    private static string Fish()
    {
        var text = new StringBuilder("complete -c kvmsharp -f\n");
        text.Append($"complete -c kvmsharp -n __fish_use_subcommand -a '{Commands}'\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from bench' -a 'paths guest exits'\n");
        foreach (string name in s_benchOptions)
            text.Append($"complete -c kvmsharp -n '__fish_seen_subcommand_from bench' -l {name[2..]} -r -F\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from check' -l json -d 'machine readable'\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from serve' -a 'blk net' -F\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from run' -l config -r -F -d 'configuration file'\n");
        text.Append("complete -c kvmsharp -n '__fish_seen_subcommand_from run' -l dry-run -d 'check and print, do not run'\n");
        foreach (MachineOption option in MachineOptions.All)
        {
            text.Append($"complete -c kvmsharp -n '__fish_seen_subcommand_from run' -l {option.Name}");
            if (option.Arity is OptionArity.Single or OptionArity.Repeatable)
                text.Append(option.IsPath ? " -r -F" : " -x");
            if (Choices(option) is { Length: > 0 } choices)
                text.Append($" -a '{choices}'");
            text.Append($" -d '{option.Help.Replace("'", "", StringComparison.Ordinal)}'\n");
        }

        return text.ToString();
    }

    private static string Choices(MachineOption option) => option.Keys.Count == 0 ? "" : option.Keys[0].Kind switch
    {
        OptionKeyKind.Choice => string.Join(' ', option.Keys[0].Choices),
        OptionKeyKind.Char => "stdio file: pty unix: null none",
        _ => "",
    };
}
