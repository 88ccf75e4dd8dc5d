using KvmSharp.Abi.Kvm;

namespace KvmSharp.Machine.Boot;

/// <summary>Turns a <see cref="BootEntry"/> into the structures of KVM_SET_REGS and KVM_SET_SREGS.</summary>
public static class BootRegisters
{
    /// <summary>
    /// Sets the whole of <paramref name="regs"/> and, of <paramref name="sregs"/>, segments, tables and control registers. Give it
    /// the vCPU's own KVM_GET_SREGS: the APIC base and what is pending stay as they are.
    /// </summary>
    public static void Apply(BootEntry entry, ref kvm_regs regs, ref kvm_sregs sregs)
    {
        regs = new kvm_regs
        {
            rip = entry.Rip,
            rsp = entry.Rsp,
            rax = entry.Rax,
            rbx = entry.Rbx,
            rsi = entry.Rsi,
            rdi = entry.Rdi,
            rflags = 2, // the reserved bit; interrupts are off
        };
        sregs.cs = Segment(entry.Code);
        sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = Segment(entry.Data);
        sregs.tr = Segment(entry.TaskState);
        sregs.ldt = new kvm_segment { type = 2, unusable = 1 };
        sregs.gdt.@base = entry.GdtAddress;
        sregs.gdt.limit = entry.GdtLimit;
        sregs.idt.@base = 0;
        sregs.idt.limit = 0;
        sregs.cr0 = entry.Cr0;
        sregs.cr2 = 0;
        sregs.cr3 = entry.Cr3;
        sregs.cr4 = entry.Cr4;
        sregs.cr8 = 0;
        sregs.efer = entry.Efer;
    }

    private static kvm_segment Segment(in BootSegment segment) => new()
    {
        limit = segment.Limit,
        selector = segment.Selector,
        type = segment.Type,
        present = 1,
        db = segment.Default32 ? (byte)1 : (byte)0,
        s = segment.CodeOrData ? (byte)1 : (byte)0,
        l = segment.Long ? (byte)1 : (byte)0,
        g = segment.PageGranular ? (byte)1 : (byte)0,
    };
}
