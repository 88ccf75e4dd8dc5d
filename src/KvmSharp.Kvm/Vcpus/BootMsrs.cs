using KvmSharp.Abi.Kvm;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>The model-specific registers firmware would have set before an operating system starts.</summary>
internal static class BootMsrs
{
    internal const uint TimeStampCounter = 0x10, TscAdjust = 0x3B;
    private const uint MiscEnable = 0x1A0, MtrrDefaultType = 0x2FF;
    private const uint SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176;
    private const uint Star = 0xC000_0081, LongStar = 0xC000_0082, CompatStar = 0xC000_0083, SyscallMask = 0xC000_0084, KernelGsBase = 0xC000_0102;

    /// <summary>MTRRs on, everything write-back (Intel SDM 3A §12.11.2.1); fast strings on (SDM 4, IA32_MISC_ENABLE bit 0); system call entries clear.</summary>
    internal static void Apply(Vcpu vcpu)
    {
        ReadOnlySpan<kvm_msr_entry> entries =
        [
            new() { index = SysenterCs }, new() { index = SysenterEsp }, new() { index = SysenterEip },
            new() { index = Star }, new() { index = LongStar }, new() { index = CompatStar }, new() { index = SyscallMask }, new() { index = KernelGsBase },
            new() { index = MiscEnable, data = 1 },
            new() { index = MtrrDefaultType, data = (1 << 11) | 6 },
        ];

        // One by one: not every vendor has every register.
        foreach (kvm_msr_entry entry in entries)
            _ = vcpu.SetMsrs([entry]);
    }
}
