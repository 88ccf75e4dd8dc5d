namespace KvmSharp.Kvm.Irqchip;

/// <summary>Where a user-space I/O APIC sends its messages. Called under the I/O APIC's lock, on any thread.</summary>
public interface IIoApicOutput
{
    /// <summary>Delivers one interrupt message to the local APICs.</summary>
    void Send(ulong address, uint data);

    /// <summary>An unmasked input's message changed: the kernel must know it to report the EOI of level-triggered vectors.</summary>
    void SetRoute(uint pin, ulong address, uint data);
}
