using System.Text;
using System.Text.Json;
using KvmSharp.Machine.Config;

namespace KvmSharp.Bench.Report;

/// <summary>A report as JSON, for programs and for a later comparison.</summary>
public static class ReportJson
{
    private const int Version = 1;

    /// <summary>Far above any report.</summary>
    private const long MaxBytes = 64 << 20;

    public static string Write(BenchReport report)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("bench", report.Bench);
            writer.WriteNumber("version", Version);
            WriteFacts(writer, "host", report.Host);
            WriteFacts(writer, "settings", report.Settings);
            writer.WriteStartArray("series");
            foreach (Series series in report.Series)
                WriteSeries(writer, series);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) + "\n";
    }

    /// <summary>Reads what <see cref="Write"/> wrote. Throws <see cref="ConfigException"/> for anything else.</summary>
    public static BenchReport ReadFile(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes)
                throw new ConfigException($"{path} is too large for a report");
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            return Read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new ConfigException($"{path} is not a report of kvmsharp bench", "make one with --json FILE");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ConfigException($"cannot read {path}: {e.Message}");
        }
    }

    private static BenchReport Read(JsonElement root)
    {
        if (root.GetProperty("version").GetInt32() != Version)
            throw new FormatException();
        return new(root.GetProperty("bench").GetString()!, ReadFacts(root.GetProperty("host")), ReadFacts(root.GetProperty("settings")),
            [.. root.GetProperty("series").EnumerateArray().Select(ReadSeries)]);
    }

    private static void WriteFacts(Utf8JsonWriter writer, string name, IReadOnlyList<Fact> facts)
    {
        writer.WriteStartObject(name);
        foreach (Fact fact in facts)
            writer.WriteString(fact.Name, fact.Value);
        writer.WriteEndObject();
    }

    private static List<Fact> ReadFacts(JsonElement facts) => [.. facts.EnumerateObject().Select(f => new Fact(f.Name, f.Value.GetString() ?? throw new FormatException()))];

    private static void WriteSeries(Utf8JsonWriter writer, Series series)
    {
        writer.WriteStartObject();
        writer.WriteString("side", series.Side);
        writer.WriteString("path", series.Path);
        writer.WriteString("work", series.Work);
        writer.WriteString("completion", series.Completion);
        writer.WriteStartArray("metrics");
        foreach (Metric metric in series.Metrics)
        {
            writer.WriteStartObject();
            writer.WriteString("name", metric.Name);
            writer.WriteString("unit", metric.Unit);
            writer.WriteBoolean("higher-is-better", metric.HigherIsBetter);
            writer.WriteNumber("median", metric.Median);
            writer.WriteStartArray("samples");
            foreach (double sample in metric.Samples)
                writer.WriteNumberValue(sample);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("latency");
        foreach (LatencyBucket bucket in series.Latency)
        {
            writer.WriteStartArray();
            writer.WriteNumberValue(bucket.Nanoseconds);
            writer.WriteNumberValue(bucket.Count);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static Series ReadSeries(JsonElement series) => new(
        Text(series, "side"), Text(series, "path"), Text(series, "work"), Text(series, "completion"),
        [.. series.GetProperty("metrics").EnumerateArray().Select(ReadMetric)],
        [.. series.GetProperty("latency").EnumerateArray().Select(b => b.GetArrayLength() == 2 ? new LatencyBucket(b[0].GetDouble(), b[1].GetInt64()) : throw new FormatException())]);

    private static Metric ReadMetric(JsonElement metric)
    {
        double[] samples = [.. metric.GetProperty("samples").EnumerateArray().Select(s => s.GetDouble())];
        return samples.Length > 0 ? new Metric(Text(metric, "name"), Text(metric, "unit"), metric.GetProperty("higher-is-better").GetBoolean(), samples) : throw new FormatException();
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString() ?? throw new FormatException();
}
