using KvmSharp.Abi.Kvm;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm;

public sealed unsafe partial class KvmVm
{
    /// <summary>KVM_GET_CLOCK: the guest's kvmclock in nanoseconds and its flags.</summary>
    public kvm_clock_data GetClock()
    {
        kvm_clock_data clock;
        KvmIoctl.Call(File, KVM_GET_CLOCK, &clock, "KVM_GET_CLOCK");
        return clock;
    }

    /// <summary>KVM_SET_CLOCK: sets kvmclock, in nanoseconds.</summary>
    public void SetClock(ulong nanoseconds)
    {
        kvm_clock_data clock = new() { clock = nanoseconds };
        KvmIoctl.Call(File, KVM_SET_CLOCK, &clock, "KVM_SET_CLOCK");
    }

    /// <summary>KVM_GET_TSC_KHZ: the rate new vCPUs' TSCs run at, in kHz; 0 if KVM does not tell.</summary>
    public uint GetTscKhz() => (uint)Math.Max(KvmIoctl.Try(File, KVM_GET_TSC_KHZ, 0), 0);

    /// <summary>KVM_GET_IRQCHIP: a chip's state (KVM_IRQCHIP_*). Only with the irqchip in the kernel.</summary>
    public kvm_irqchip GetIrqchip(uint chip)
    {
        kvm_irqchip state = new() { chip_id = chip };
        KvmIoctl.Call(File, KVM_GET_IRQCHIP, &state, "KVM_GET_IRQCHIP");
        return state;
    }

    /// <summary>KVM_SET_IRQCHIP.</summary>
    public void SetIrqchip(in kvm_irqchip state)
    {
        fixed (kvm_irqchip* p = &state)
            KvmIoctl.Call(File, KVM_SET_IRQCHIP, p, "KVM_SET_IRQCHIP");
    }

    /// <summary>KVM_GET_PIT2.</summary>
    public kvm_pit_state2 GetPit()
    {
        kvm_pit_state2 state;
        KvmIoctl.Call(File, KVM_GET_PIT2, &state, "KVM_GET_PIT2");
        return state;
    }

    /// <summary>KVM_SET_PIT2.</summary>
    public void SetPit(in kvm_pit_state2 state)
    {
        fixed (kvm_pit_state2* p = &state)
            KvmIoctl.Call(File, KVM_SET_PIT2, p, "KVM_SET_PIT2");
    }

    /// <summary>Narrows which MSRs the guest reaches: accesses the filter denies go to the vCPU's MSR handler, or fault.</summary>
    /// <param name="deniedRead">Indices whose reads leave the kernel.</param>
    /// <param name="deniedWrite">Indices whose writes leave the kernel.</param>
    public void SetMsrFilter(ReadOnlySpan<uint> deniedRead, ReadOnlySpan<uint> deniedWrite)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(deniedRead.Length + deniedWrite.Length, (int)KVM_MSR_FILTER_MAX_RANGES, nameof(deniedRead));
        kvm_msr_filter filter = new() { flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
        byte* denied = stackalloc byte[8];
        new Span<byte>(denied, 8).Clear();
        int range = 0;
        foreach (uint index in deniedRead)
            filter.ranges[range++] = new kvm_msr_filter_range { flags = KVM_MSR_FILTER_READ, nmsrs = 1, @base = index, bitmap = denied };
        foreach (uint index in deniedWrite)
            filter.ranges[range++] = new kvm_msr_filter_range { flags = KVM_MSR_FILTER_WRITE, nmsrs = 1, @base = index, bitmap = denied };
        KvmIoctl.Call(File, KVM_X86_SET_MSR_FILTER, &filter, "KVM_X86_SET_MSR_FILTER");
    }
}
