using System.Text.Json;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Paths;

/// <summary>One result line of the bench guest, and how often it left for its VMM meanwhile.</summary>
/// <param name="Exits">What is known of them.</param>
/// <param name="Cpu">What the VMM's threads used meanwhile.</param>
internal sealed record PathSample(string Path, string Work, string Completion, long Operations, long Bytes, long Errors, double Nanoseconds, long Interrupts, IReadOnlyList<LatencyBucket> Latency, ExitCounts Exits, CpuTimes Cpu)
{
    /// <summary>Null if the line is about something else. Throws <see cref="BenchException"/> for what is no line of the guest's.</summary>
    public static PathSample? Parse(string line, ExitCounts exits, CpuTimes cpu)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (!root.TryGetProperty("path", out JsonElement path) || !root.TryGetProperty("completion", out JsonElement completion))
                return null;
            LatencyBucket[] latency = root.TryGetProperty("histogram", out JsonElement histogram)
                ? [.. histogram.EnumerateArray().Select(b => new LatencyBucket(b[0].GetDouble(), b[1].GetInt64()))] : [];
            return new(path.GetString()!, root.GetProperty("work").GetString()!, completion.GetString()!, root.GetProperty("operations").GetInt64(), root.GetProperty("bytes").GetInt64(),
                root.GetProperty("errors").GetInt64(), root.GetProperty("ns").GetDouble(), root.GetProperty("interrupts").GetInt64(), latency, exits, cpu);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new BenchException($"the bench guest printed '{Machine.Config.Printable.Line(line)}', which is no result");
        }
    }
}
