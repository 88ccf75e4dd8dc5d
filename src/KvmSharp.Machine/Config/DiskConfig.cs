using System.Text;
using System.Text.Json;
using KvmSharp.Backends.Block;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Machine.Config;

/// <summary>A disk, virtio-blk on a raw image.</summary>
public sealed record DiskConfig : VirtioConfig
{
    private const int MaxSerialBytes = 20;

    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio");

    // In the order of the enumerations.
    private static readonly OptionKey s_cache = new("cache", OptionKeyKind.Choice, "writeback", "none", "writethrough", "directsync", "unsafe");
    private static readonly OptionKey s_engine = new("aio", OptionKeyKind.Choice, "auto", "io_uring", "threads");

    /// <summary>A regular file or a block device.</summary>
    public required string Path { get; init; }

    public bool ReadOnly { get; init; }

    public BlockCacheMode Cache { get; init; } = BlockCacheMode.Writeback;

    public BlockEngine Engine { get; init; } = BlockEngine.Auto;

    /// <summary>Pass discards on to the host.</summary>
    public bool Discard { get; init; } = true;

    public int Queues { get; init; } = 1;

    public string Serial { get; init; } = "";

    internal static MachineOption Option { get; } = new()
    {
        Name = "disk", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList, IsPath = true,
        ValueName = "file=PATH[,readonly=on][,cache=writeback|none|writethrough|directsync|unsafe][,queues=N][,serial=TEXT][,discard=off][,aio=auto|io_uring|threads][,iothread=N]",
        Keys =
        [
            new("file", OptionKeyKind.Text), s_model, new("readonly", OptionKeyKind.Boolean), s_cache, new("queues", OptionKeyKind.Integer),
            new("serial", OptionKeyKind.Text), new("discard", OptionKeyKind.Boolean), s_engine, .. CommonKeys,
        ],
        Help = "a disk, from a raw image or a block device",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(Read)] },
        Write = WriteAll,
    };

    private static DiskConfig Read(OptionValues v)
    {
        _ = v.Choice(s_model);
        string path = v.Text("file") is { Length: > 0 } file ? file : throw new ConfigException($"{v.Where}: file is missing", "say which image to use: --disk file=disk.img");
        int queues = v.Integer("queues") ?? 1;
        if (queues is < 1 or > VirtioBlockOptions.QueueLimit)
            throw new ConfigException($"{v.Where}: queues must be between 1 and {VirtioBlockOptions.QueueLimit}");
        string serial = v.Text("serial") ?? "";
        if (Encoding.UTF8.GetByteCount(serial) > MaxSerialBytes)
            throw new ConfigException($"{v.Where}: serial '{Printable.Line(serial)}' is longer than {MaxSerialBytes} bytes");
        return new DiskConfig
        {
            Path = path,
            ReadOnly = v.Boolean("readonly") ?? false,
            Cache = (BlockCacheMode)(v.Choice(s_cache) ?? 0),
            Engine = (BlockEngine)(v.Choice(s_engine) ?? 0),
            Discard = v.Boolean("discard") ?? true,
            Queues = queues,
            Serial = serial,
            IoThread = ReadIoThread(v),
            Id = v.Text("id"),
        };
    }

    private static void WriteAll(Utf8JsonWriter writer, MachineConfig config)
    {
        if (!config.Devices.OfType<DiskConfig>().Any())
            return;
        writer.WriteStartArray("disk");
        foreach (DiskConfig disk in config.Devices.OfType<DiskConfig>())
            disk.Write(writer);
        writer.WriteEndArray();
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("file", Path);
        writer.WriteString("model", s_model.Choices[0]);
        writer.WriteBoolean("readonly", ReadOnly);
        writer.WriteString("cache", s_cache.Choices[(int)Cache]);
        writer.WriteString("aio", s_engine.Choices[(int)Engine]);
        writer.WriteBoolean("discard", Discard);
        writer.WriteNumber("queues", Queues);
        if (Serial.Length > 0)
            writer.WriteString("serial", Serial);
        WriteCommon(writer);
        writer.WriteEndObject();
    }
}
