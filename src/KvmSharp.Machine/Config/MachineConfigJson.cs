using System.Text;
using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>
/// Reads and writes configuration files. The format is <see cref="MachineOptions"/>: each option's name is a key whose value is either the
/// text the command line would have, or an object with the option's keys. Comments and trailing commas are allowed.
/// </summary>
public static class MachineConfigJson
{
    private const long MaxFileBytes = 1 << 20;

    /// <summary>Throws <see cref="ConfigException"/> with file, line and key for anything that is wrong.</summary>
    public static MachineConfigSource ReadFile(string path)
    {
        byte[] bytes;
        try
        {
            if (Directory.Exists(path))
                throw new ConfigException($"cannot read {path}: it is a directory");
            using FileStream file = File.OpenRead(path);
            if (file.Length > MaxFileBytes)
                throw new ConfigException($"{path} is larger than 1M and hardly a configuration file");
            using var copy = new MemoryStream();
            file.CopyTo(copy);
            bytes = copy.ToArray();
        }
        catch (FileNotFoundException)
        {
            throw new ConfigException($"cannot read {path}: no such file");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"cannot read {path}: {Printable.Line(e.Message)}");
        }

        return Read(path, bytes);
    }

    /// <param name="name">The file's name in messages.</param>
    public static MachineConfigSource Read(string name, ReadOnlySpan<byte> json)
    {
        if (json.StartsWith(Encoding.UTF8.Preamble))
            json = json[Encoding.UTF8.Preamble.Length..];
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, MaxDepth = 8 });
        var parser = new Parser(name, json);
        try
        {
            return parser.ReadAll(ref reader);
        }
        catch (JsonException e)
        {
            string message = e.Message;
            int end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
            throw new ConfigException($"{name}:{(e.LineNumber ?? 0) + 1}: not valid JSON: {Printable.Line(end > 0 ? message[..end] : message).TrimEnd('.')}");
        }
        catch (InvalidOperationException)
        {
            // Text that is not valid UTF-8 or has lone surrogates.
            throw new ConfigException($"{name}:{parser.Line(in reader)}: not valid UTF-8 text");
        }
    }

    /// <summary>The machine as a file that describes it completely, indented.</summary>
    public static string Write(MachineConfig config)
    {
        using var buffer = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            writer.WriteStartObject();
            foreach (MachineOption option in MachineOptions.All)
                option.Write(writer, config);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private readonly ref struct Parser(string name, ReadOnlySpan<byte> json)
    {
        private readonly ReadOnlySpan<byte> _json = json;

        public int Line(in Utf8JsonReader reader) => 1 + _json[..(int)Math.Min(reader.TokenStartIndex, _json.Length)].Count((byte)'\n');

        public MachineConfigSource ReadAll(ref Utf8JsonReader reader)
        {
            var source = new MachineConfigSource();
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw new ConfigException($"{name}:{Line(in reader)}: a configuration is a JSON object, {{ ... }}");
            var seen = new HashSet<string>(StringComparer.Ordinal);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string key = reader.GetString()!;
                string where = $"{name}:{Line(in reader)}: {Printable.Line(key)}";
                if (MachineOptions.Find(key) is not { } option)
                {
                    string? closest = Suggestion.Closest(key, MachineOptions.All.Select(o => o.Name));
                    throw new ConfigException($"{name}:{Line(in reader)}: unknown key '{Printable.Line(key)}'", closest is null ? null : $"did you mean \"{closest}\"?");
                }

                if (!seen.Add(key))
                    throw new ConfigException($"{where} is given twice");
                reader.Read();
                ReadOption(ref reader, source, option, where);
            }

            reader.Read();
            return source;
        }

        private void ReadOption(ref Utf8JsonReader reader, MachineConfigSource source, MachineOption option, string where)
        {
            if (option.Arity == OptionArity.Repeatable && reader.TokenType == JsonTokenType.StartArray)
            {
                source.AddNone(option);
                for (int i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
                    source.Add(option, ReadValue(ref reader, option, $"{name}:{Line(in reader)}: {option.Name}[{i}]"));
                return;
            }

            if (option.Arity is OptionArity.Flag or OptionArity.Optional && reader.TokenType is JsonTokenType.True or JsonTokenType.False)
            {
                if (reader.TokenType == JsonTokenType.True)
                    source.Add(option, new OptionValues(where));
                else
                    source.AddNone(option);
                return;
            }

            if (option.Arity == OptionArity.Flag)
                throw WrongType(where, "true or false", reader.TokenType);
            source.Add(option, ReadValue(ref reader, option, where));
        }

        private static OptionValues ReadValue(ref Utf8JsonReader reader, MachineOption option, string where)
        {
            if (reader.TokenType == JsonTokenType.String)
                return OptionText.Parse(option, reader.GetString()!, where);
            var values = new OptionValues(where);
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                ReadKey(ref reader, option.Keys[0], values, where);
                return values;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                OptionKey key = option.FindKey(name) ?? throw OptionText.UnknownKey(option, where, name);
                reader.Read();
                ReadKey(ref reader, key, values, $"{where}.{name}");
            }

            return values;
        }

        private static void ReadKey(ref Utf8JsonReader reader, OptionKey key, OptionValues values, string where)
        {
            JsonTokenType type = reader.TokenType;
            switch (key.Kind)
            {
                case OptionKeyKind.Boolean when type is JsonTokenType.True or JsonTokenType.False:
                    values.Add(key, type == JsonTokenType.True ? "on" : "off");
                    break;
                case OptionKeyKind.Integer or OptionKeyKind.List or OptionKeyKind.Size or OptionKeyKind.Port or OptionKeyKind.Duration when type == JsonTokenType.Number:
                    values.Add(key, Encoding.UTF8.GetString(reader.ValueSpan));
                    break;
                case OptionKeyKind.List when type == JsonTokenType.StartArray:
                    values.Add(key, ReadWords(ref reader, key, where));
                    break;
                case OptionKeyKind.Features when type == JsonTokenType.StartArray:
                    while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                        values.Add(key, reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw WrongType(where, Expected(key), reader.TokenType));
                    break;
                case OptionKeyKind.Text or OptionKeyKind.List or OptionKeyKind.Choice or OptionKeyKind.Char or OptionKeyKind.Size or OptionKeyKind.Port or OptionKeyKind.Duration when type == JsonTokenType.String:
                    values.Add(key, reader.GetString()!);
                    break;
                default:
                    throw WrongType(where, Expected(key), type);
            }
        }

        private static string ReadWords(ref Utf8JsonReader reader, OptionKey key, string where)
        {
            var words = new List<string>();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                words.Add(reader.TokenType switch
                {
                    JsonTokenType.String => reader.GetString()!,
                    JsonTokenType.Number => Encoding.UTF8.GetString(reader.ValueSpan),
                    JsonTokenType other => throw WrongType(where, Expected(key), other),
                });
            }

            return string.Join(':', words);
        }

        private static string Expected(OptionKey key) => key.Kind switch
        {
            OptionKeyKind.Size => "a size such as \"512M\"",
            OptionKeyKind.Integer => "a number",
            OptionKeyKind.List => "a number, a text such as \"0:2\" or a list",
            OptionKeyKind.Boolean => "true or false",
            OptionKeyKind.Choice => $"one of {string.Join(", ", key.Choices.Select(c => $"\"{c}\""))}",
            OptionKeyKind.Port => "a port such as 244 or \"0xf4\"",
            OptionKeyKind.Duration => "a time such as \"10s\"",
            OptionKeyKind.Char => "a text such as \"stdio\" or \"file:PATH\"",
            OptionKeyKind.Features => "a list such as [\"+avx2\", \"-x2apic\"]",
            _ => "a text",
        };

        private static ConfigException WrongType(string where, string expected, JsonTokenType found) => new($"{where} must be {expected}, not {Describe(found)}");

        private static string Describe(JsonTokenType type) => type switch
        {
            JsonTokenType.String => "a text",
            JsonTokenType.Number => "a number",
            JsonTokenType.True or JsonTokenType.False => "true or false",
            JsonTokenType.StartObject => "an object",
            JsonTokenType.StartArray => "a list",
            _ => "null",
        };
    }
}
