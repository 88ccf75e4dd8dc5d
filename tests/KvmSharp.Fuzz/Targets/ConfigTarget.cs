using System.Text;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Machine.Config;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// Configuration as files and as option strings, made of the words that options know and of those that parsers stumble over. Only a
/// one-line <see cref="ConfigException"/> may come of it; what is accepted must read back from what is written of it.
/// </summary>
internal sealed class ConfigTarget(bool json) : IFuzzTarget
{
    private const int MaxText = 4096;
    private static readonly MachineOption[] s_valued = [.. MachineOptions.All.Where(option => option.Keys.Count > 0)];
    private static readonly string[] s_words =
    [
        .. MachineOptions.All.Select(option => option.Name), .. MachineOptions.All.SelectMany(option => option.Keys).SelectMany(key => key.Choices.Append(key.Name)).Distinct(),
        "on", "off", "true", "false", "null", "none", "stdio", "file:/f", "unix:/s", "pty", "0", "1", "2", "3", "-1", "4096", "512M", "1G", "0x3f8", "0x", "65536", "4294967296",
        "18446744073709551616", "99999999999999999999999", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "∞", "1.5", ".", "-0", "10s", "500ms", "2m", "1d", "52:54:00:12:34:56",
        "52:54", "0:2", "0-3", ":", ",", ",,", "=", "+avx2", "-x2apic", "+", "-", "/", "/k", "é", "\u0000", "\n", "\t", "\"", "\\", " ", "tap0", "d.img", "{", "}", "[", "]", "a", "b",
    ];

    public void Run(FuzzScript script)
    {
        try
        {
            MachineConfigSource source = json ? ReadJson(script) : ReadOptions(script);
            MachineConfig config = MachineConfigSource.Resolve(source);
            script.Observe(1, (ulong)config.Devices.Count);
            MachineConfigValidator.Validate(config);
            script.Observe(2, (ulong)config.Devices.Count);
            string written = MachineConfigJson.Write(config);
            string again = MachineConfigJson.Write(MachineConfigSource.Resolve(MachineConfigJson.Read("f", Encoding.UTF8.GetBytes(written))));
            FuzzFailure.Unless(written == again, $"a configuration reads back as another one: {Difference(written, again)}");
        }
        catch (ConfigException refused)
        {
            script.Observe(3, refused.Message);
            FuzzFailure.Unless(!refused.Message.Contains('\n', StringComparison.Ordinal) && refused.Hint?.Contains('\n', StringComparison.Ordinal) != true, "a refusal is longer than a line");
        }
    }

    public void Probe() =>
        FuzzFailure.Unless(MachineConfigSource.Resolve(MachineConfigJson.Read("f", "{\"kernel\": \"/k\", \"cpus\": 2}"u8)).Cpus.Count == 2, "a good file is not read");

    public void Dispose()
    {
    }

    private static string Difference(string one, string other) =>
        one.Split('\n').Zip(other.Split('\n')).Where(lines => lines.First != lines.Second).Select(lines => $"{lines.First} became {lines.Second}").FirstOrDefault() ?? "their lengths";

    private static MachineConfigSource ReadOptions(FuzzScript script)
    {
        MachineConfigSource source = new();
        source.Add(MachineOptions.All.First(option => option.Name == "kernel"), OptionText.Parse(MachineOptions.All.First(option => option.Name == "kernel"), "/k", "--kernel"));
        while (!script.AtEnd)
        {
            MachineOption option = s_valued[script.Below(s_valued.Length)];
            StringBuilder text = new();
            int items = script.U8() % 5;
            for (int i = 0; i <= items; i++)
            {
                text.Append(i > 0 ? "," : "");
                if (script.Flag())
                    text.Append(option.Keys[script.Below(option.Keys.Count)].Name).Append('=');
                Word(script, text);
            }

            source.Add(option, OptionText.Parse(option, text.ToString(), $"--{option.Name}"));
        }

        return source;
    }

    private static MachineConfigSource ReadJson(FuzzScript script)
    {
        if (script.U8() >= 0xE0)
        {
            byte[] raw = new byte[script.Remaining];
            script.Fill(raw);
            return MachineConfigJson.Read("f", raw);
        }

        StringBuilder text = new("{\"kernel\": \"/k\"");
        while (!script.AtEnd && text.Length < MaxText)
        {
            MachineOption option = MachineOptions.All[script.Below(MachineOptions.All.Count)];
            text.Append(", \"").Append(option.Name).Append("\": ");
            Value(script, text, option, 0);
        }

        text.Append('}');
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        return MachineConfigJson.Read("f", bytes);
    }

    private static void Value(FuzzScript script, StringBuilder text, MachineOption option, int depth)
    {
        byte how = script.U8();
        switch (how & 7)
        {
            case 0 when depth < 9:
                text.Append('[');
                for (int i = how >> 3 & 3; i >= 0; i--)
                {
                    Value(script, text, option, depth + 1);
                    text.Append(i > 0 ? "," : "");
                }

                text.Append(']');
                break;
            case 1 or 2 when depth < 9 && option.Keys.Count > 0:
                text.Append('{');
                for (int i = how >> 3 & 3; i >= 0; i--)
                {
                    text.Append('"').Append(option.Keys[script.Below(option.Keys.Count)].Name).Append("\": ");
                    Value(script, text, option, depth + 1);
                    text.Append(i > 0 ? "," : "");
                }

                text.Append('}');
                break;
            case 3:
                text.Append((how & 8) != 0 ? "true" : "false");
                break;
            case 4:
                text.Append((how & 0x18) == 0x18 ? s_words[script.Below(s_words.Length)] : script.Number().ToString(System.Globalization.CultureInfo.InvariantCulture));
                break;
            default:
                text.Append('"');
                for (int i = how >> 3 & 3; i >= 0; i--)
                    Word(script, text);
                text.Append('"');
                break;
        }
    }

    private static void Word(FuzzScript script, StringBuilder text)
    {
        int which = script.Below(s_words.Length + 8);
        if (which < s_words.Length)
            text.Append(s_words[which]);
        else if ((which & 1) == 0)
            text.Append(script.Number());
        else
            text.Append(script.U16() is var c && char.IsSurrogate((char)c) ? '?' : (char)c);
    }
}
