using KvmSharp.Abi.Kvm;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>What a processor was before it first ran, read once after its creation and put back by a machine reset.</summary>
internal sealed class PowerOnState
{
    private kvm_regs _regs;
    private kvm_sregs _sregs;
    private kvm_vcpu_events _events;
    private kvm_debugregs _debugRegs;
    private kvm_xcrs _xcrs;
    private kvm_lapic_state _lapic;
    private byte[] _xsave = [];
    private kvm_msr_entry[] _msrs = [];
    private uint _mpState;
    private bool _hasLapic;
    private bool _hasXcrs;

    internal static PowerOnState Capture(Vcpu vcpu)
    {
        var state = new PowerOnState
        {
            _regs = vcpu.GetRegs(),
            _sregs = vcpu.GetSregs(),
            _events = vcpu.GetEvents(),
            _debugRegs = vcpu.GetDebugRegs(),
            _hasXcrs = vcpu.Vm.Check(KvmConstants.KVM_CAP_XCRS) != 0,
            _xsave = vcpu.GetXsave(),
            _msrs = ResetMsrs(vcpu),
            _hasLapic = vcpu.Vm.Options.Irqchip != IrqchipMode.None,
        };
        if (state._hasXcrs)
            state._xcrs = vcpu.GetXcrs();
        if (state._hasLapic)
        {
            state._lapic = vcpu.GetLapic();
            state._mpState = vcpu.GetMpState();
        }

        return state;
    }

    internal void Apply(Vcpu vcpu)
    {
        kvm_vcpu_events events = _events;
        events.flags |= KvmConstants.KVM_VCPUEVENT_VALID_NMI_PENDING | KvmConstants.KVM_VCPUEVENT_VALID_SIPI_VECTOR | KvmConstants.KVM_VCPUEVENT_VALID_SHADOW;
        kvm_guest_debug noDebug = default;
        vcpu.SetGuestDebug(noDebug);
        vcpu.SetSregs(_sregs);
        vcpu.SetRegs(_regs);
        if (_hasXcrs)
            vcpu.SetXcrs(_xcrs);
        vcpu.SetXsave(_xsave);
        vcpu.SetDebugRegs(_debugRegs);

        // One by one: an MSR this KVM refuses must not keep the others from being reset.
        foreach (kvm_msr_entry msr in _msrs)
            _ = vcpu.SetMsrs([msr]);
        if (_hasLapic)
        {
            vcpu.SetLapic(_lapic);
            vcpu.SetMpState(_mpState);
        }

        vcpu.SetEvents(events);
    }

    /// <summary>The MSRs KVM lists, without the clock (kvmclock and TSC go on across a reset as KVM likes it) being set back.</summary>
    private static kvm_msr_entry[] ResetMsrs(Vcpu vcpu)
    {
        var known = new List<kvm_msr_entry>();
        foreach (uint index in vcpu.Vm.System.GetMsrIndices())
        {
            kvm_msr_entry[] one = [new kvm_msr_entry { index = index }];
            if (index != BootMsrs.TimeStampCounter && index != BootMsrs.TscAdjust && vcpu.GetMsrs(one) == 1)
                known.Add(one[0]);
        }

        return [.. known];
    }
}
