namespace KvmSharp.Kvm;

/// <summary>What a VM is created with; fixed for its life.</summary>
public sealed record KvmVmOptions
{
    public IrqchipMode Irqchip { get; init; } = IrqchipMode.Kernel;

    /// <summary>The 8254 in the kernel; only with <see cref="IrqchipMode.Kernel"/>.</summary>
    public bool WithPit { get; init; } = true;

    /// <summary>Guest physical address of three pages for real mode on Intel processors (KVM_SET_TSS_ADDR).</summary>
    public ulong TssAddress { get; init; } = 0xFFFB_D000;

    /// <summary>Guest physical address of one page (KVM_SET_IDENTITY_MAP_ADDR).</summary>
    public ulong IdentityMapAddress { get; init; } = 0xFFFB_C000;

    /// <summary>Bytes of each vCPU's dirty ring (a power of two multiple of the page size); 0: dirty bitmaps instead.</summary>
    public uint DirtyRingBytes { get; init; }

    /// <summary>Accesses to MSRs that KVM does not know or that its filter denies go to the vCPU's <see cref="Vcpus.IMsrHandler"/>.</summary>
    public bool UserSpaceMsrs { get; init; }
}
