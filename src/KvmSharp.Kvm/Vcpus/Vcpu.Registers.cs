using KvmSharp.Abi;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Cpuid;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

public sealed unsafe partial class Vcpu
{
    /// <summary>KVM_GET_REGS.</summary>
    public kvm_regs GetRegs() => Get<kvm_regs>(KVM_GET_REGS, nameof(KVM_GET_REGS));

    /// <summary>KVM_SET_REGS.</summary>
    public void SetRegs(in kvm_regs value) => Set(KVM_SET_REGS, value, nameof(KVM_SET_REGS));

    /// <summary>KVM_GET_SREGS.</summary>
    public kvm_sregs GetSregs() => Get<kvm_sregs>(KVM_GET_SREGS, nameof(KVM_GET_SREGS));

    /// <summary>KVM_SET_SREGS.</summary>
    public void SetSregs(in kvm_sregs value) => Set(KVM_SET_SREGS, value, nameof(KVM_SET_SREGS));

    /// <summary>KVM_GET_SREGS2 (KVM_CAP_SREGS2): with the page directory pointers.</summary>
    public kvm_sregs2 GetSregs2() => Get<kvm_sregs2>(KVM_GET_SREGS2, nameof(KVM_GET_SREGS2));

    /// <summary>KVM_SET_SREGS2.</summary>
    public void SetSregs2(in kvm_sregs2 value) => Set(KVM_SET_SREGS2, value, nameof(KVM_SET_SREGS2));

    /// <summary>KVM_GET_FPU.</summary>
    public kvm_fpu GetFpu() => Get<kvm_fpu>(KVM_GET_FPU, nameof(KVM_GET_FPU));

    /// <summary>KVM_SET_FPU.</summary>
    public void SetFpu(in kvm_fpu value) => Set(KVM_SET_FPU, value, nameof(KVM_SET_FPU));

    /// <summary>KVM_GET_LAPIC. Only with local APICs in the kernel.</summary>
    public kvm_lapic_state GetLapic() => Get<kvm_lapic_state>(KVM_GET_LAPIC, nameof(KVM_GET_LAPIC));

    /// <summary>KVM_SET_LAPIC.</summary>
    public void SetLapic(in kvm_lapic_state value) => Set(KVM_SET_LAPIC, value, nameof(KVM_SET_LAPIC));

    /// <summary>KVM_GET_MP_STATE: KVM_MP_STATE_*. The kernel may hold it back while a SIPI is pending.</summary>
    public uint GetMpState() => Get<kvm_mp_state>(KVM_GET_MP_STATE, nameof(KVM_GET_MP_STATE)).mp_state;

    /// <summary>KVM_SET_MP_STATE.</summary>
    public void SetMpState(uint value) => Set(KVM_SET_MP_STATE, new kvm_mp_state { mp_state = value }, nameof(KVM_SET_MP_STATE));

    /// <summary>KVM_GET_VCPU_EVENTS: pending exceptions, interrupts, NMIs, SIPI.</summary>
    public kvm_vcpu_events GetEvents() => Get<kvm_vcpu_events>(KVM_GET_VCPU_EVENTS, nameof(KVM_GET_VCPU_EVENTS));

    /// <summary>KVM_SET_VCPU_EVENTS.</summary>
    public void SetEvents(in kvm_vcpu_events value) => Set(KVM_SET_VCPU_EVENTS, value, nameof(KVM_SET_VCPU_EVENTS));

    /// <summary>KVM_GET_DEBUGREGS.</summary>
    public kvm_debugregs GetDebugRegs() => Get<kvm_debugregs>(KVM_GET_DEBUGREGS, nameof(KVM_GET_DEBUGREGS));

    /// <summary>KVM_SET_DEBUGREGS.</summary>
    public void SetDebugRegs(in kvm_debugregs value) => Set(KVM_SET_DEBUGREGS, value, nameof(KVM_SET_DEBUGREGS));

    /// <summary>KVM_GET_XCRS.</summary>
    public kvm_xcrs GetXcrs() => Get<kvm_xcrs>(KVM_GET_XCRS, nameof(KVM_GET_XCRS));

    /// <summary>KVM_SET_XCRS.</summary>
    public void SetXcrs(in kvm_xcrs value) => Set(KVM_SET_XCRS, value, nameof(KVM_SET_XCRS));

    /// <summary>KVM_SET_GUEST_DEBUG: breakpoints and single step; their exits go to <see cref="IVcpuEvents.OnDebug"/>.</summary>
    public void SetGuestDebug(in kvm_guest_debug value) => Set(KVM_SET_GUEST_DEBUG, value, nameof(KVM_SET_GUEST_DEBUG));

    /// <summary>The XSAVE image, <see cref="KvmVm.XsaveSize"/> bytes (KVM_GET_XSAVE2 where it exists).</summary>
    public byte[] GetXsave()
    {
        EnsureAccessible();
        byte[] image = new byte[_vm.XsaveSize];
        bool large = _vm.Check(KVM_CAP_XSAVE2) > 0;
        fixed (byte* p = image)
            KvmIoctl.Call(_file, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, p, "KVM_GET_XSAVE");
        return image;
    }

    /// <summary>KVM_SET_XSAVE. Throws <see cref="ArgumentException"/> for an image shorter than <see cref="KvmVm.XsaveSize"/>.</summary>
    public void SetXsave(ReadOnlySpan<byte> image)
    {
        EnsureAccessible();
        ArgumentOutOfRangeException.ThrowIfLessThan(image.Length, _vm.XsaveSize, nameof(image));
        fixed (byte* p = image)
            KvmIoctl.Call(_file, KVM_SET_XSAVE, p, nameof(KVM_SET_XSAVE));
    }

    /// <summary>KVM_GET_MSRS: fills in <c>data</c> of each entry. Returns how many were read; the first failing one ends it.</summary>
    public int GetMsrs(Span<kvm_msr_entry> entries) => Msrs(KVM_GET_MSRS, entries, nameof(KVM_GET_MSRS));

    /// <summary>KVM_SET_MSRS. Returns how many were set; the first failing one ends it.</summary>
    public int SetMsrs(ReadOnlySpan<kvm_msr_entry> entries) => Msrs(KVM_SET_MSRS, entries.ToArray(), nameof(KVM_SET_MSRS));

    /// <summary>One MSR; throws <see cref="LinuxException"/> (EINVAL) if KVM does not know it.</summary>
    public ulong GetMsr(uint index)
    {
        Span<kvm_msr_entry> entry = [new kvm_msr_entry { index = index }];
        return GetMsrs(entry) == 1 ? entry[0].data : throw new LinuxException($"read MSR 0x{index:x}", LibcConstants.EINVAL);
    }

    /// <summary>One MSR; throws <see cref="LinuxException"/> (EINVAL) if KVM refuses it.</summary>
    public void SetMsr(uint index, ulong value)
    {
        if (SetMsrs([new kvm_msr_entry { index = index, data = value }]) != 1)
            throw new LinuxException($"write MSR 0x{index:x}", LibcConstants.EINVAL);
    }

    /// <summary>KVM_SET_CPUID2. Only before the vCPU first runs.</summary>
    public void SetCpuid(CpuidTable cpuid)
    {
        EnsureAccessible();
        ReadOnlySpan<kvm_cpuid_entry2> entries = cpuid.Entries;
        byte[] buffer = new byte[sizeof(kvm_cpuid2) + entries.Length * sizeof(kvm_cpuid_entry2)];
        fixed (byte* p = buffer)
        {
            // SAFETY: the buffer holds the header and exactly nent entries.
            ((kvm_cpuid2*)p)->nent = (uint)entries.Length;
            entries.CopyTo(new Span<kvm_cpuid_entry2>(p + sizeof(kvm_cpuid2), entries.Length));
            KvmIoctl.Call(_file, KVM_SET_CPUID2, p, nameof(KVM_SET_CPUID2));
        }
    }

    /// <summary>KVM_TRANSLATE: a linear address through the guest's page tables.</summary>
    public bool TryTranslate(ulong linear, out GuestAddress physical)
    {
        EnsureAccessible();
        kvm_translation translation = new() { linear_address = linear };
        bool known = KvmIoctl.Try(_file, KVM_TRANSLATE, (nint)(&translation)) >= 0 && translation.valid != 0;
        physical = new GuestAddress(known ? translation.physical_address : 0);
        return known;
    }

    /// <summary>KVM_GET_TSC_KHZ: the guest's clock rate in kHz; 0 if KVM does not tell.</summary>
    public uint GetTscKhz()
    {
        EnsureAccessible();
        return (uint)Math.Max(KvmIoctl.Try(_file, KVM_GET_TSC_KHZ, 0), 0);
    }

    /// <summary>KVM_KVMCLOCK_CTRL: tells the guest it was paused, so that its soft-lockup watchdog forgives. Quietly nothing without kvmclock.</summary>
    public void NotifyClockPaused()
    {
        EnsureAccessible();
        _ = KvmIoctl.Try(_file, KVM_KVMCLOCK_CTRL, 0);
    }

    /// <summary>KVM_INTERRUPT: the vector to deliver next. Only without local APICs in the kernel; ends a HLT.</summary>
    public void InjectInterrupt(byte vector)
    {
        EnsureAccessible();
        kvm_interrupt interrupt = new() { irq = vector };
        KvmIoctl.Call(_file, KVM_INTERRUPT, &interrupt, nameof(KVM_INTERRUPT));
        Wake();
    }

    /// <summary>KVM_NMI. Only while the vCPU is accessible.</summary>
    public void InjectNmi()
    {
        EnsureAccessible();
        KvmIoctl.Call(_file, KVM_NMI, 0UL, nameof(KVM_NMI));
        Wake();
    }

    private void EnsureAccessible()
    {
        lock (_gate)
        {
            if (_state == VcpuState.Running && Thread.CurrentThread != _thread)
                throw new InvalidOperationException($"vCPU {Index} is running; pause it first");
        }
    }

    private T Get<T>(uint request, string name)
        where T : unmanaged
    {
        EnsureAccessible();
        T value;
        KvmIoctl.Call(_file, request, &value, name);
        return value;
    }

    private void Set<T>(uint request, in T value, string name)
        where T : unmanaged
    {
        EnsureAccessible();
        fixed (T* p = &value)
            KvmIoctl.Call(_file, request, p, name);
    }

    private int Msrs(uint request, Span<kvm_msr_entry> entries, string name)
    {
        EnsureAccessible();
        byte[] buffer = new byte[sizeof(kvm_msrs) + entries.Length * sizeof(kvm_msr_entry)];
        fixed (byte* p = buffer)
        {
            // SAFETY: the buffer holds the header and exactly nmsrs entries.
            ((kvm_msrs*)p)->nmsrs = (uint)entries.Length;
            var inside = new Span<kvm_msr_entry>(p + sizeof(kvm_msrs), entries.Length);
            entries.CopyTo(inside);
            int done = KvmIoctl.Call(_file, request, p, name);
            inside.CopyTo(entries);
            return done;
        }
    }
}
