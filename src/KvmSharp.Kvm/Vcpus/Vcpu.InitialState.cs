using KvmSharp.Abi.Kvm;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

public sealed unsafe partial class Vcpu
{
    /// <summary>
    /// Prepares the processor to execute at <paramref name="regs"/>: registers, boot MSRs, and for the boot processor the APIC's
    /// inputs as firmware leaves them (LINT0 = ExtINT, LINT1 = NMI). It is runnable afterwards.
    /// </summary>
    public void SetInitialState(in kvm_regs regs, in kvm_sregs sregs)
    {
        kvm_sregs special = sregs;

        // The APIC's base and enable bit are the kernel's business: keep what KVM made at power-on.
        special.apic_base = GetSregs().apic_base;
        SetSregs(special);
        SetRegs(regs);
        BootMsrs.Apply(this);
        if (_vm.Options.Irqchip != IrqchipMode.None)
        {
            SetLocalInterrupts();
            SetMpState(KVM_MP_STATE_RUNNABLE);
        }
    }

    private void SetLocalInterrupts()
    {
        const int lint0 = 0x350, lint1 = 0x360;
        const uint extInt = 0x700, nmi = 0x400, masked = 0x1_0000;
        kvm_lapic_state lapic = GetLapic();

        // SAFETY: both offsets lie inside the 1 KiB register page.
        *(uint*)(lapic.regs + lint0) = _vm.Options.Irqchip == IrqchipMode.Kernel && Index == 0 ? extInt : extInt | masked;
        *(uint*)(lapic.regs + lint1) = nmi;
        SetLapic(lapic);
    }
}
