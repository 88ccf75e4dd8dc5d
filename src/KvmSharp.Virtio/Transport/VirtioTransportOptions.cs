using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Virtio.Transport;

/// <summary>What a user may choose for a device's transport.</summary>
public sealed record VirtioTransportOptions
{
    /// <summary>Ring features to offer; VIRTIO_F_VERSION_1 always is.</summary>
    public ulong RingFeatures { get; init; } = VirtioFeatures.IndirectDesc | VirtioFeatures.EventIdx | VirtioFeatures.RingReset;

    /// <summary>Kicks by ioeventfd. False: every kick is an exit to a vCPU thread, to show what that costs.</summary>
    public bool IoEventFd { get; init; } = true;

    /// <summary>MSI-X interrupts by irqfd. False: every interrupt is a system call that carries the message, to show what that costs.</summary>
    public bool IrqFd { get; init; } = true;

    /// <summary>MSI-X table entries, at most 2048; 0: no MSI-X, only the pin. Null: one per queue and one for the configuration.</summary>
    public int? Vectors { get; init; }

    public ILogger Logger { get; init; } = NullLogger.Instance;
}
