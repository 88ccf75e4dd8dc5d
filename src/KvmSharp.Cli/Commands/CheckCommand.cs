using System.CommandLine;
using System.Text;
using System.Text.Json;
using KvmSharp.Cli.Checks;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Commands;

/// <summary><c>kvmsharp check</c>: what this host offers and lacks.</summary>
internal static class CheckCommand
{
    public static ExitCode Execute(string[] args, CliOutput output)
    {
        var command = new Command("check");
        var json = new Option<bool>("--json") { Arity = ArgumentArity.Zero };
        var device = new Option<string[]>("--kvm-device") { Arity = ArgumentArity.OneOrMore };
        command.Add(json);
        command.Add(device);
        ParseResult result = command.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        CommandLineErrors.ThrowIfUnmatched(result, ["--json", "--kvm-device", "--help"]);
        string path = "/dev/kvm";
        if (result.GetResult(device) is { Implicit: false } given)
            path = given.Tokens.Count == 1 ? given.Tokens[0].Value : throw new ConfigException("--kvm-device needs one value: --kvm-device FILE");
        List<CheckItem> items = HostChecks.All(path);
        bool canRun = items.TrueForAll(i => i.Status != CheckStatus.Missing);
        output.Out(result.GetResult(json) is { Implicit: false } ? ToJson(items, canRun) : ToText(items, canRun));
        return canRun ? ExitCode.Success : ExitCode.HostCannot;
    }

    private static string ToText(List<CheckItem> items, bool canRun)
    {
        int width = items.Max(i => i.Name.Length) + 2;
        var text = new StringBuilder();
        foreach (CheckItem item in items)
        {
            text.Append(Name(item.Status).PadRight(9)).Append(item.Name.PadRight(width)).Append(item.Detail);
            text.Append(item.Fix is null ? "\n" : $"; fix: {item.Fix}\n");
        }

        return text.Append(canRun ? "guests can run here\n" : "guests cannot run here\n").ToString();
    }

    private static string ToJson(List<CheckItem> items, bool canRun)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteBoolean("can-run", canRun);
            writer.WriteStartArray("items");
            foreach (CheckItem item in items)
            {
                writer.WriteStartObject();
                writer.WriteString("name", item.Name);
                writer.WriteString("status", Name(item.Status));
                writer.WriteString("detail", item.Detail);
                if (item.Fix is not null)
                    writer.WriteString("fix", item.Fix);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) + "\n";
    }

    private static string Name(CheckStatus status) => status switch
    {
        CheckStatus.Ok => "ok",
        CheckStatus.Warning => "warning",
        _ => "missing",
    };
}
