namespace KvmSharp.Bench.Counters;

/// <summary>How often a guest was left, as far as it is known.</summary>
/// <param name="Monitor">For its VMM; null: not known.</param>
/// <param name="Kvm">What KVM itself counts; null: it does not say.</param>
internal readonly record struct ExitCounts(long? Monitor, KvmCounts? Kvm)
{
    public static ExitCounts operator -(ExitCounts a, ExitCounts b) => new(a.Monitor - b.Monitor, a.Kvm - b.Kvm);
}

/// <summary>Sums over all vCPUs, under the names that they have in Linux's arch/x86/kvm/x86.c.</summary>
/// <param name="Exits"><c>exits</c>: every way out of the guest, those that KVM answers by itself included.</param>
/// <param name="PortIo"><c>io_exits</c>: instructions on a port, those that KVM answers by itself included.</param>
/// <param name="Mmio"><c>mmio_exits</c>: accesses to device memory that the VMM answers.</param>
/// <param name="Halts"><c>halt_exits</c>: the guest had nothing to do.</param>
internal readonly record struct KvmCounts(long Exits, long PortIo, long Mmio, long Halts)
{
    public static KvmCounts operator -(KvmCounts a, KvmCounts b) => new(a.Exits - b.Exits, a.PortIo - b.PortIo, a.Mmio - b.Mmio, a.Halts - b.Halts);

    public static KvmCounts operator +(KvmCounts a, KvmCounts b) => new(a.Exits + b.Exits, a.PortIo + b.PortIo, a.Mmio + b.Mmio, a.Halts + b.Halts);
}
