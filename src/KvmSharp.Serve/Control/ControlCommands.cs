using System.Text;
using System.Text.Json;
using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Machine.Config;

namespace KvmSharp.Serve.Control;

/// <summary>
/// What can be asked of a process that serves: <c>{"execute":"list"}</c>, <c>{"execute":"add","arguments":{"type":"blk","image":"a.img,cache=none","socket":"a.sock"}}</c>,
/// <c>{"execute":"remove","arguments":{"id":"blk0"}}</c>, <c>{"execute":"resized","arguments":{"id":"blk0"}}</c>. The answer has "return" or "error".
/// </summary>
internal sealed class ControlCommands(ServeHost host, PortFactory ports)
{
    /// <summary>Never throws for what is asked; one line.</summary>
    public string Execute(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 8 });
            JsonElement root = document.RootElement;
            string command = Text(root, "execute");
            JsonElement arguments = root.TryGetProperty("arguments", out JsonElement given) ? given : default;
            return Answer("return", w => Execute(command, arguments, w));
        }
        catch (JsonException error)
        {
            return Fail($"not JSON: {error.Message}");
        }
        catch (ConfigException error)
        {
            return Fail(error.Hint is null ? error.Message : $"{error.Message}; {error.Hint}");
        }
        catch (Exception error) when (error is BackendException or LinuxException)
        {
            return Fail(error.Message);
        }
    }

    private static string Fail(string message) => Answer("error", w => w.WriteStringValue(message));

    private static string Answer(string name, Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WritePropertyName(name);
            write(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Text(JsonElement from, string name) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : throw new ConfigException($"\"{name}\" is missing");

    private void Execute(string command, JsonElement arguments, Utf8JsonWriter answer)
    {
        switch (command)
        {
            case "list":
                List(answer);
                break;
            case "add":
                IServedType type = ServedTypes.Find(Text(arguments, "type"));
                OptionSpec option = type.PortOption;
                string name = ports.Add(type, OptionText.Parse(option, Text(arguments, option.Name), option.Name), Text(arguments, "socket"));
                WriteId(answer, name);
                break;
            case "remove":
                string removed = Text(arguments, "id");
                if (!host.Remove(removed))
                    throw NoSuchPort(removed);
                WriteId(answer, removed);
                break;
            case "resized":
                string resized = Text(arguments, "id");
                (host.Find(resized) ?? throw NoSuchPort(resized)).Device.OnResized();
                WriteId(answer, resized);
                break;
            default:
                throw new ConfigException($"unknown command '{Printable.Line(command)}'", "there is list, add, remove and resized");
        }
    }

    private void List(Utf8JsonWriter answer)
    {
        answer.WriteStartArray();
        foreach (ServePort port in host.Ports)
        {
            answer.WriteStartObject();
            answer.WriteString("id", port.Name);
            answer.WriteString("socket", port.SocketPath);
            answer.WriteBoolean("connected", port.IsConnected);
            answer.WriteNumber("queues", port.Device.Device.Identity.QueueSizes.Count);
            if (port.Device.Statistics is { } statistics)
            {
                WriteTraffic(answer, "sent", statistics.Sent);
                WriteTraffic(answer, "received", statistics.Received);
            }

            answer.WriteEndObject();
        }

        answer.WriteEndArray();
    }

    private static void WriteTraffic(Utf8JsonWriter answer, string direction, TrafficCount count)
    {
        answer.WriteStartObject(direction);
        answer.WriteNumber("frames", count.Frames);
        answer.WriteNumber("bytes", count.Bytes);
        answer.WriteNumber("lost", count.Lost);
        answer.WriteEndObject();
    }

    private static void WriteId(Utf8JsonWriter answer, string id)
    {
        answer.WriteStartObject();
        answer.WriteString("id", id);
        answer.WriteEndObject();
    }

    private static ConfigException NoSuchPort(string name) => new($"there is no port '{Printable.Line(name)}'");
}
