namespace KvmSharp.Virtio.Devices.Console;

/// <summary>How a console device is made.</summary>
public sealed record VirtioConsoleOptions
{
    public const ushort MinQueueSize = 2, MaxQueueSize = 1024;

    public required string Name { get; init; }

    /// <summary>Offers VIRTIO_CONSOLE_F_MULTIPORT. Without it there is one port, number 0, and it is a console.</summary>
    public bool Multiport { get; init; }

    public required IReadOnlyList<ConsolePortOptions> Ports { get; init; }

    /// <summary>Largest size of the ports' queues, a power of two from <see cref="MinQueueSize"/> to <see cref="MaxQueueSize"/>.</summary>
    public ushort QueueSize { get; init; } = 128;

    /// <summary>How long a console whose host end takes nothing at all holds up its driver, in nanoseconds.</summary>
    public long MaxStallNs { get; init; } = 1_000_000_000;
}
