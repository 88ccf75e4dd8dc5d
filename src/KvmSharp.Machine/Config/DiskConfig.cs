using System.Text;
using System.Text.Json;
using KvmSharp.Backends.Block;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Machine.Config;

/// <summary>A disk on a raw image: virtio-blk, or IDE, which has of the virtio settings only those of the threads.</summary>
public sealed record DiskConfig : VirtioConfig
{
    /// <summary>Queues that a disk has without being asked.</summary>
    public const int DefaultQueueLimit = 8;

    private const int MaxSerialBytes = 20;
    private const int MinBlockSize = 512;

    /// <summary>A page: Linux refuses disks with larger logical blocks.</summary>
    private const int MaxLogicalBlockSize = 4096;
    private const int MaxPhysicalBlockSize = 2 << 20;

    // In the order of the enumerations.
    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio", "ide");
    private static readonly OptionKey s_cache = new("cache", OptionKeyKind.Choice, "writeback", "none", "writethrough", "directsync", "unsafe");
    private static readonly OptionKey s_engine = new("aio", OptionKeyKind.Choice, "auto", "io_uring", "threads");

    /// <summary>What ATA has nothing for, or nothing that can be chosen.</summary>
    private static readonly string[] s_virtioOnly = ["queues", "discard", "write-zeroes", "logical_block_size"];

    /// <summary>A regular file or a block device.</summary>
    public required string Path { get; init; }

    public DiskModel Model { get; init; }

    public bool ReadOnly { get; init; }

    public BlockCacheMode Cache { get; init; } = BlockCacheMode.Writeback;

    public BlockEngine Engine { get; init; } = BlockEngine.Auto;

    /// <summary>Pass discards on to the host.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>Offer write zeroes.</summary>
    public bool WriteZeroes { get; init; } = true;

    /// <summary>Null: one per vCPU, at most <see cref="DefaultQueueLimit"/>.</summary>
    public int? Queues { get; init; }

    /// <summary>Bytes, a power of two; null: what the image has.</summary>
    public int? LogicalBlockSize { get; init; }

    /// <inheritdoc cref="LogicalBlockSize"/>
    public int? PhysicalBlockSize { get; init; }

    public string Serial { get; init; } = "";

    /// <summary>What can be said about an image that is served without a machine; <see cref="Read"/> reads it.</summary>
    public static IReadOnlyList<OptionKey> ServedImageKeys { get; } =
    [
        new("file", OptionKeyKind.Text), new("readonly", OptionKeyKind.Boolean), s_cache, new("queues", OptionKeyKind.Integer),
        new("serial", OptionKeyKind.Text), new("discard", OptionKeyKind.Boolean), new("write-zeroes", OptionKeyKind.Boolean),
        new("logical_block_size", OptionKeyKind.Size), new("physical_block_size", OptionKeyKind.Size), s_engine, new("id", OptionKeyKind.Text),
    ];

    internal static MachineOption Option { get; } = new()
    {
        Name = "disk", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList, IsPath = true,
        ValueName = "file=PATH|vhost-user=SOCKET[,model=virtio|ide][,readonly=on][,cache=writeback|none|writethrough|directsync|unsafe][,queues=N][,serial=TEXT][,discard=off][,write-zeroes=off]" +
            "[,logical_block_size=BYTES][,physical_block_size=BYTES][,aio=auto|io_uring|threads]" + VirtioSettings.ValueName,
        Keys =
        [
            new("file", OptionKeyKind.Text), new(VhostUserDiskConfig.Key, OptionKeyKind.Text), s_model, new("readonly", OptionKeyKind.Boolean), s_cache, new("queues", OptionKeyKind.Integer),
            new("serial", OptionKeyKind.Text), new("discard", OptionKeyKind.Boolean), new("write-zeroes", OptionKeyKind.Boolean),
            new("logical_block_size", OptionKeyKind.Size), new("physical_block_size", OptionKeyKind.Size), s_engine, .. CommonKeys,
        ],
        Help = "a disk, from a raw image, a block device or another process",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(v => v.Text(VhostUserDiskConfig.Key) is null ? (DeviceConfig)Read(v) : VhostUserDiskConfig.Read(v))] },
        Write = (w, c) => w.WriteObjects("disk", c.Devices.Where(d => d is DiskConfig or VhostUserDiskConfig), disk => WriteEither(w, disk)),
    };

    /// <summary>Keys that are about an image, which only this process has.</summary>
    internal static IReadOnlyList<string> ImageKeys { get; } =
        ["file", "model", "readonly", "cache", "serial", "discard", "write-zeroes", "logical_block_size", "physical_block_size", "aio"];

    internal static int? ReadQueues(OptionValues v) => v.Integer("queues") is var queues and not (< 1 or > VirtioBlockOptions.QueueLimit)
        ? queues
        : throw new ConfigException($"{v.Where}: queues must be between 1 and {VirtioBlockOptions.QueueLimit}");

    private static void WriteEither(Utf8JsonWriter writer, DeviceConfig disk)
    {
        if (disk is DiskConfig image)
            image.Write(writer);
        else
            ((VhostUserDiskConfig)disk).Write(writer);
    }

    /// <summary>Throws <see cref="ConfigException"/>.</summary>
    public static DiskConfig Read(OptionValues v)
    {
        string path = v.Text("file") is { Length: > 0 } file ? file : throw new ConfigException($"{v.Where}: file is missing", "say which image to use: file=disk.img");
        var model = (DiskModel)(v.Choice(s_model) ?? 0);
        if (model == DiskModel.Ide)
            RefuseVirtioKeys(v);
        int? queues = ReadQueues(v);
        string serial = v.Text("serial") ?? "";
        if (Encoding.UTF8.GetByteCount(serial) > MaxSerialBytes)
            throw new ConfigException($"{v.Where}: serial '{Printable.Line(serial)}' is longer than {MaxSerialBytes} bytes");
        if (model == DiskModel.Ide && serial.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ConfigException($"{v.Where}: serial '{Printable.Line(serial)}' must be printable ASCII for model=ide");
        int? logical = ReadBlockSize(v, "logical_block_size", MaxLogicalBlockSize), physical = ReadBlockSize(v, "physical_block_size", MaxPhysicalBlockSize);
        if (physical < logical)
            throw new ConfigException($"{v.Where}: physical_block_size must not be smaller than logical_block_size");
        return new DiskConfig
        {
            Path = path,
            Model = model,
            ReadOnly = v.Boolean("readonly") ?? false,
            Cache = (BlockCacheMode)(v.Choice(s_cache) ?? 0),
            Engine = (BlockEngine)(v.Choice(s_engine) ?? 0),
            Discard = v.Boolean("discard") ?? true,
            WriteZeroes = v.Boolean("write-zeroes") ?? true,
            LogicalBlockSize = logical,
            PhysicalBlockSize = physical,
            Queues = queues,
            Serial = serial,
            Virtio = VirtioSettings.Read(v, VirtioBlockOptions.MinQueueSize, VirtioBlockOptions.MaxQueueSize),
            Id = v.Text("id"),
        };
    }

    private static void RefuseVirtioKeys(OptionValues v)
    {
        foreach (string key in s_virtioOnly)
            VirtioSettings.Refuse(v, key, "model=ide");
        VirtioSettings.RefuseQueueKeys(v, "model=ide");
    }

    private static int? ReadBlockSize(OptionValues v, string key, int max) => v.Size(key) is not { } size ? null
        : size is >= MinBlockSize && size <= (ulong)max && ulong.IsPow2(size) ? (int)size
        : throw new ConfigException($"{v.Where}: {key} must be a power of two between {MinBlockSize} and {max}");

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteString("file", Path);
        writer.WriteString("model", s_model.Choices[(int)Model]);
        writer.WriteBoolean("readonly", ReadOnly);
        writer.WriteString("cache", s_cache.Choices[(int)Cache]);
        writer.WriteString("aio", s_engine.Choices[(int)Engine]);
        if (PhysicalBlockSize is { } physical)
            writer.WriteNumber("physical_block_size", physical);
        if (Serial.Length > 0)
            writer.WriteString("serial", Serial);
        if (Model == DiskModel.Virtio)
            WriteVirtio(writer);
        else
            WriteThreads(writer);
    }

    private void WriteVirtio(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("discard", Discard);
        writer.WriteBoolean("write-zeroes", WriteZeroes);
        if (LogicalBlockSize is { } logical)
            writer.WriteNumber("logical_block_size", logical);
        if (Queues is { } queues)
            writer.WriteNumber("queues", queues);
        WriteCommon(writer);
    }
}
