namespace KvmSharp.Core.Fabric;

/// <summary>How devices obtain interrupts. Implemented over KVM GSI routing and irqfd; by a fake in tests.</summary>
public interface IInterruptFabric
{
    /// <summary>The level line of an I/O APIC / PIC input. The caller shares it with whoever asks for the same GSI (wired OR is the caller's business).</summary>
    IIrqLine GetLine(uint gsi);

    /// <summary>
    /// Attaches a resampling irqfd to an input, wired OR with <see cref="GetLine"/>: a write to <paramref name="trigger"/> raises it, the guest's
    /// end of interrupt lowers it and writes to <paramref name="lowered"/>. Dispose lowers and detaches. Null where the host has none.
    /// Throws <see cref="LinuxException"/>.
    /// </summary>
    IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered);

    /// <summary>Allocates an MSI vector, initially masked and without a message. Dispose returns its GSI.</summary>
    IMsiVector AllocateMsi();

    /// <summary>Injects one message at once, by a system call and without a route of its own. False if the machine did not take it. Any thread.</summary>
    bool SendMsi(ulong address, uint data);
}

/// <summary>One message-signalled interrupt: a GSI with an irqfd behind it. Thread-safe.</summary>
public interface IMsiVector : IDisposable
{
    /// <summary>Writing it injects the message without a system call of ours in between (irqfd). Masked: the event stays pending in the counter.</summary>
    EventFd Trigger { get; }

    /// <summary>Sets the message (PCI 3.0 §6.8: address, data) and updates the live route.</summary>
    void SetMessage(ulong address, uint data);

    /// <summary>Masked: the irqfd is detached, so that signals stay in <see cref="Trigger"/> and can be read as the pending bit.</summary>
    void SetMasked(bool masked);

    /// <summary>True if a signal arrived while masked and was not delivered.</summary>
    bool IsPending { get; }

    void Signal();
}
