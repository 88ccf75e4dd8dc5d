using System.Globalization;
using System.Text.Json;
using KvmSharp.Core.Events;

namespace KvmSharp.Machine.Config;

/// <summary>What all virtio devices have: what their rings and their transport offer, and the threads that serve them.</summary>
public sealed record VirtioSettings
{
    /// <summary>More polling than this is a CPU that does nothing else.</summary>
    public const int MaxPollNs = 1_000_000_000;

    private const int MaxVectors = 2048;
    private const int MaxIoThreads = 64;

    /// <summary>Offer VIRTIO_F_RING_PACKED.</summary>
    public bool Packed { get; init; }

    /// <summary>Offer VIRTIO_F_EVENT_IDX.</summary>
    public bool EventIdx { get; init; } = true;

    /// <summary>Offer VIRTIO_F_INDIRECT_DESC.</summary>
    public bool IndirectDesc { get; init; } = true;

    /// <summary>Offer VIRTIO_F_IN_ORDER.</summary>
    public bool InOrder { get; init; }

    /// <summary>False: every kick is an exit.</summary>
    public bool IoEventFd { get; init; } = true;

    /// <summary>False: every MSI-X interrupt is a system call of its own.</summary>
    public bool IrqFd { get; init; } = true;

    /// <summary>MSI-X vectors; 0: there is no MSI-X, only the pin. Null: one per queue and one for the configuration.</summary>
    public int? Vectors { get; init; }

    /// <summary>Largest size of the device's queues, a power of two; null: the device's own.</summary>
    public int? QueueSize { get; init; }

    /// <summary>Names of the I/O threads that serve the device, queue i by thread i modulo their number. Empty: threads of its own.</summary>
    public IReadOnlyList<string> IoThreads { get; init; } = [];

    /// <summary>Host CPUs that the device's own threads may run on; empty: all.</summary>
    public IReadOnlyList<int> Cpus { get; init; } = [];

    /// <summary>Longest busy polling of the device's own threads before they sleep, in nanoseconds; 0: none. Null: the default.</summary>
    public int? PollMaxNs { get; init; }

    /// <summary>Interrupts by irqfd, of a queue or of a pin.</summary>
    internal const string IrqFdKey = "irqfd";

    /// <summary>The keys in the help text.</summary>
    internal const string ValueName = "[,iothread=NAME[:NAME...]][,VIRTIO-KEYS]";

    /// <summary>What only virtio has: rings and their transport.</summary>
    private static readonly OptionKey[] s_queueKeys =
    [
        new("packed", OptionKeyKind.Boolean), new("event_idx", OptionKeyKind.Boolean), new("indirect_desc", OptionKeyKind.Boolean),
        new("in_order", OptionKeyKind.Boolean), new("ioeventfd", OptionKeyKind.Boolean), new(IrqFdKey, OptionKeyKind.Boolean),
        new("vectors", OptionKeyKind.Integer), new("queue-size", OptionKeyKind.Integer),
    ];

    /// <summary>The option's keys that all virtio devices have.</summary>
    internal static IReadOnlyList<OptionKey> Keys { get; } =
    [
        .. s_queueKeys, new("iothread", OptionKeyKind.List), new("cpus", OptionKeyKind.List), new("poll-max-ns", OptionKeyKind.Integer),
    ];

    /// <summary>Queue sizes are powers of two between the bounds.</summary>
    internal static VirtioSettings Read(OptionValues v, int minQueueSize, int maxQueueSize)
    {
        if (v.Integer("vectors") is < 0 or > MaxVectors)
            throw new ConfigException($"{v.Where}: vectors must be between 0 and {MaxVectors}", "0 is for interrupts by the pin");
        if (v.Integer("queue-size") is { } size && (size < minQueueSize || size > maxQueueSize || !int.IsPow2(size)))
            throw new ConfigException($"{v.Where}: queue-size must be a power of two between {minQueueSize} and {maxQueueSize}");
        IReadOnlyList<string> threads = v.List("iothread");
        if (threads.Count > MaxIoThreads)
            throw new ConfigException($"{v.Where}: at most {MaxIoThreads} I/O threads can serve one device");
        IReadOnlyList<int> cpus = v.Numbers("cpus", CpuAffinity.MaxCpus - 1);
        int? poll = ReadPollMaxNs(v);
        if (threads.Count > 0 && (cpus.Count > 0 || poll is not null))
            throw new ConfigException($"{v.Where}: cpus and poll-max-ns are for threads of the device's own", $"say them with the thread: --iothread id={Printable.Line(threads[0])},...");
        return new VirtioSettings
        {
            Packed = v.Boolean("packed") ?? false,
            EventIdx = v.Boolean("event_idx") ?? true,
            IndirectDesc = v.Boolean("indirect_desc") ?? true,
            InOrder = v.Boolean("in_order") ?? false,
            IoEventFd = v.Boolean("ioeventfd") ?? true,
            IrqFd = v.Boolean(IrqFdKey) ?? true,
            Vectors = v.Integer("vectors"),
            QueueSize = v.Integer("queue-size"),
            IoThreads = threads,
            Cpus = cpus,
            PollMaxNs = poll,
        };
    }

    internal static int? ReadPollMaxNs(OptionValues v) => v.Integer("poll-max-ns") is var poll and not (< 0 or > MaxPollNs)
        ? poll
        : throw new ConfigException($"{v.Where}: poll-max-ns must be between 0 and {MaxPollNs}");

    /// <summary>Throws if the user gave one of the keys that are about rings or their transport.</summary>
    /// <param name="model">What has none, as <c>model=ide</c>.</param>
    /// <param name="except">The key that it has all the same.</param>
    internal static void RefuseQueueKeys(OptionValues v, string model, string? except = null)
    {
        foreach (OptionKey key in s_queueKeys)
        {
            if (key.Name != except)
                Refuse(v, key.Name, model);
        }
    }

    /// <summary>Throws if the user gave this key.</summary>
    internal static void Refuse(OptionValues v, string key, string model)
    {
        if (v.Text(key) is not null)
            throw new ConfigException($"{v.Where}: {key} is for virtio, not for {model}", $"leave {key} out, or leave {model} out");
    }

    internal void WriteQueues(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("packed", Packed);
        writer.WriteBoolean("event_idx", EventIdx);
        writer.WriteBoolean("indirect_desc", IndirectDesc);
        writer.WriteBoolean("in_order", InOrder);
        writer.WriteBoolean("ioeventfd", IoEventFd);
        writer.WriteBoolean(IrqFdKey, IrqFd);
        if (Vectors is { } vectors)
            writer.WriteNumber("vectors", vectors);
        if (QueueSize is { } size)
            writer.WriteNumber("queue-size", size);
    }

    internal void WriteThreads(Utf8JsonWriter writer)
    {
        WriteList(writer, "iothread", IoThreads);
        WriteList(writer, "cpus", Cpus);
        if (PollMaxNs is { } poll)
            writer.WriteNumber("poll-max-ns", poll);
    }

    internal static void WriteList<T>(Utf8JsonWriter writer, string name, IReadOnlyList<T> list)
        where T : IConvertible
    {
        if (list.Count > 0)
            writer.WriteString(name, string.Join(':', list.Select(item => item.ToString(CultureInfo.InvariantCulture))));
    }
}
