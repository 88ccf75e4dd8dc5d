using System.Text.Json;

namespace KvmSharp.TestKit;

/// <summary>A trace as a viewer reads it. <see cref="Read"/> throws <see cref="InvalidDataException"/> for what the Trace Event Format does not allow.</summary>
public sealed class TraceDocument
{
    private TraceDocument(IReadOnlyList<JsonElement> events, long lost)
    {
        Events = events;
        Lost = lost;
    }

    /// <summary>All of them, in the order of the file.</summary>
    public IReadOnlyList<JsonElement> Events { get; }

    /// <summary>What the file says it lacks.</summary>
    public long Lost { get; }

    public static TraceDocument Read(string path) => Parse(File.ReadAllBytes(path));

    /// <summary>
    /// A trace that is still written: it is whole after every write, but reading takes two steps (the size, then the bytes), and what a write changed between
    /// them is read again. What is broken and stays as it is throws.
    /// </summary>
    public static TraceDocument ReadGrowing(string path)
    {
        while (true)
        {
            byte[] bytes = File.ReadAllBytes(path);
            try
            {
                return Parse(bytes);
            }
            catch (JsonException) when (Changes(path, bytes))
            {
            }
        }
    }

    private static bool Changes(string path, byte[] bytes) => SpinWait.SpinUntil(() => !File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes), 100);

    private static TraceDocument Parse(byte[] bytes)
    {
        using JsonDocument document = JsonDocument.Parse(bytes);
        JsonElement root = document.RootElement.Clone();
        JsonElement[] events = [.. root.GetProperty("traceEvents").EnumerateArray()];
        foreach (JsonElement one in events)
            Check(one);
        return new TraceDocument(events, root.GetProperty("otherData").GetProperty("lost_events").GetInt64());
    }

    /// <summary>The events of a category.</summary>
    public JsonElement[] OfCategory(string category) => [.. Events.Where(e => e.TryGetProperty("cat", out JsonElement c) && c.GetString() == category)];

    /// <summary>The kernel's id of the thread of that name, which is there once.</summary>
    public int ThreadOf(string name) =>
        Events.Single(e => Text(e, "name") == "thread_name" && Text(e.GetProperty("args"), "name") == name).GetProperty("tid").GetInt32();

    /// <summary>Requests that came back, in order: each is the completion. Throws for one that was never submitted, or is in flight twice or at the end.</summary>
    public JsonElement[] CompletedRequests()
    {
        var flying = new Dictionary<string, JsonElement>();
        var completed = new List<JsonElement>();
        foreach (JsonElement one in OfCategory("io"))
        {
            string key = $"{Text(one, "name")} {Text(one, "id")}";
            bool begins = Text(one, "ph") == "b";
            if (begins ? !flying.TryAdd(key, one) : !flying.Remove(key, out JsonElement begin) || Time(begin) > Time(one))
                throw new InvalidDataException($"{key} is not a pair");
            if (!begins)
                completed.Add(one);
        }

        return flying.Count == 0 ? [.. completed] : throw new InvalidDataException($"{flying.Count} requests never completed");
    }

    public static string Text(JsonElement element, string property) => element.GetProperty(property).GetString()!;

    private static double Time(JsonElement one) => one.GetProperty("ts").GetDouble();

    private static void Check(JsonElement one)
    {
        string phase = Text(one, "ph");
        bool valid = Text(one, "name").Length > 0 && one.GetProperty("pid").GetInt32() > 0 && one.GetProperty("tid").GetInt32() >= 0
            && one.GetProperty("args").ValueKind == JsonValueKind.Object
            && phase switch
            {
                "M" => true,
                "X" => Time(one) >= 0 && one.GetProperty("dur").GetDouble() >= 0,
                "i" => Time(one) >= 0 && Text(one, "s") is "t" or "g",
                "b" or "e" => Time(one) >= 0 && Text(one, "id").StartsWith("0x", StringComparison.Ordinal),
                _ => false,
            };
        if (!valid)
            throw new InvalidDataException($"not an event: {one}");
    }
}
