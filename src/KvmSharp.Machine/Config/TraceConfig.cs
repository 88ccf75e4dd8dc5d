using System.Text.Json;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Machine.Config;

/// <summary>A trace of what the machine's threads do.</summary>
/// <param name="Path">The file that it is written to; replaced.</param>
/// <param name="LimitBytes">The file's length at which it ends.</param>
public sealed record TraceConfig(string Path, ulong LimitBytes)
{
    private const ulong MinLimitBytes = 1 << 20, MaxLimitBytes = 1UL << 40;

    internal static MachineOption Option { get; } = new()
    {
        Name = "trace", Group = "Running", Syntax = OptionSyntax.CommaList, ValueName = "FILE[,limit=SIZE]", IsPath = true,
        Keys = [new("file", OptionKeyKind.Text), new("limit", OptionKeyKind.Size)],
        Help = "write exits, notifications, interrupts and I/O with their times to a file for ui.perfetto.dev, at most so much (default 256M)",
        Apply = (c, v) => c with { Trace = Read(v[^1]) },
        Write = (w, c) => c.Trace?.Write(w),
    };

    private static TraceConfig Read(OptionValues values)
    {
        string? path = values.Text("file");
        if (string.IsNullOrEmpty(path))
            throw new ConfigException($"{values.Where}: file is missing");
        ulong limit = values.Size("limit") ?? TraceOptions.DefaultLimitBytes;
        return limit is >= MinLimitBytes and <= MaxLimitBytes ? new TraceConfig(path, limit)
            : throw new ConfigException($"{values.Where}: limit must be between {SizeText.Format(MinLimitBytes)} and {SizeText.Format(MaxLimitBytes)}");
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("trace");
        writer.WriteString("file", Path);
        writer.WriteString("limit", SizeText.Format(LimitBytes));
        writer.WriteEndObject();
    }
}
