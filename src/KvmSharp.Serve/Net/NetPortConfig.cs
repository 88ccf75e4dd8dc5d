using KvmSharp.Machine.Config;

namespace KvmSharp.Serve.Net;

/// <summary>A port of <c>serve net</c> as users describe it.</summary>
internal sealed record NetPortConfig
{
    private const uint MinGeneratedBytes = 60;

    private static readonly OptionKey s_kind = new("kind", OptionKeyKind.Choice, "switch", "null"); // in the order of NetPortKind

    public static OptionSpec Option { get; } = new()
    {
        Name = "port", Syntax = OptionSyntax.CommaList,
        Keys =
        [
            s_kind, new("tap", OptionKeyKind.Text), new("bridge", OptionKeyKind.Text), new("queues", OptionKeyKind.Integer), new("generate", OptionKeyKind.Integer),
            new("capture", OptionKeyKind.Text), new("capture-limit", OptionKeyKind.Size), new("id", OptionKeyKind.Text),
        ],
        ValueName = "switch|null[,generate=BYTES]|tap=NAME[,bridge=NAME][,queues=N][,capture=FILE[,capture-limit=SIZE]][,id=NAME]",
        Help = "a network interface: on the switch between such ports, on nothing, or on a tap",
    };

    /// <summary>Null: a tap.</summary>
    public NetPortKind? Kind { get; private init; }

    public string? Tap { get; private init; }

    public string? Bridge { get; private init; }

    /// <summary>Queue pairs.</summary>
    public int Queues { get; private init; } = 1;

    /// <summary>Length of the frames that a port on nothing makes; null: none.</summary>
    public uint? GeneratedBytes { get; private init; }

    /// <summary>Where frames are written to as well; null: nowhere.</summary>
    public string? Capture { get; private init; }

    public ulong CaptureLimitBytes { get; private init; } = FrameCapture.DefaultLimitBytes;

    /// <summary>Throws <see cref="ConfigException"/>.</summary>
    public static NetPortConfig Read(OptionValues v)
    {
        var config = new NetPortConfig
        {
            Kind = (NetPortKind?)v.Choice(s_kind),
            Tap = v.Text("tap"),
            Bridge = v.Text("bridge"),
            Queues = v.Integer("queues") ?? 1,
            GeneratedBytes = ReadGenerated(v),
            Capture = v.Text("capture"),
            CaptureLimitBytes = v.Size("capture-limit") ?? FrameCapture.DefaultLimitBytes,
        };
        if (config.Kind is null == config.Tap is null || config.Tap is "")
            throw new ConfigException($"{v.Where} is one of switch, null and tap=NAME");
        if (config.Queues is < 1 or > NetPort.MaxPairs)
            throw new ConfigException($"{v.Where}: queues must be between 1 and {NetPort.MaxPairs}");
        if (config.GeneratedBytes is not null && config.Kind != NetPortKind.Null)
            throw new ConfigException($"{v.Where}: generate is for ports on null");
        if (config.Tap is null && config.Bridge is not null)
            throw new ConfigException($"{v.Where}: bridge is for taps");
        if (config.Capture is null && v.Size("capture-limit") is not null)
            throw new ConfigException($"{v.Where}: capture-limit needs capture=FILE");
        return config;
    }

    private static uint? ReadGenerated(OptionValues v) => v.Integer("generate") is not { } bytes ? null
        : bytes is >= (int)MinGeneratedBytes and <= (int)NetFrame.MaxBytes ? (uint)bytes
        : throw new ConfigException($"{v.Where}: generate must be between {MinGeneratedBytes} and {NetFrame.MaxBytes} bytes");
}
