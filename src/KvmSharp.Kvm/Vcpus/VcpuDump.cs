using System.Text;
using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>Registers, bytes at RIP and their disassembly as text. The only user of the disassembler, and only when a vCPU has failed.</summary>
internal static class VcpuDump
{
    private const int ByteCount = 32;

    /// <summary>Never throws; what cannot be read is left out. On the vCPU's thread or while it is not running.</summary>
    internal static string Create(Vcpu vcpu)
    {
        var text = new StringBuilder();
        try
        {
            kvm_regs regs = vcpu.GetRegs();
            kvm_sregs sregs = vcpu.GetSregs();
            Registers(text, regs, sregs);
            ulong linear = sregs.cs.l != 0 ? regs.rip : sregs.cs.@base + regs.rip;
            byte[] code = ReadCode(vcpu, linear);
            text.Append($"bytes at 0x{linear:x}: {(code.Length == 0 ? "not mapped" : Convert.ToHexString(code))}\n");
            Disassemble(text, code, regs.rip, sregs.cs.l != 0 ? 64 : sregs.cs.db != 0 ? 32 : 16);
        }
        catch (Exception error)
        {
            text.Append($"(state not readable: {error.Message})\n");
        }

        return text.ToString().TrimEnd('\n');
    }

    private static void Registers(StringBuilder text, in kvm_regs r, in kvm_sregs s)
    {
        text.Append($"rax={r.rax:x16} rbx={r.rbx:x16} rcx={r.rcx:x16} rdx={r.rdx:x16}\n");
        text.Append($"rsi={r.rsi:x16} rdi={r.rdi:x16} rsp={r.rsp:x16} rbp={r.rbp:x16}\n");
        text.Append($"r8 ={r.r8:x16} r9 ={r.r9:x16} r10={r.r10:x16} r11={r.r11:x16}\n");
        text.Append($"r12={r.r12:x16} r13={r.r13:x16} r14={r.r14:x16} r15={r.r15:x16}\n");
        text.Append($"rip={r.rip:x16} rflags={r.rflags:x8}\n");
        text.Append($"cr0={s.cr0:x8} cr2={s.cr2:x16} cr3={s.cr3:x16} cr4={s.cr4:x8} efer={s.efer:x} apic_base={s.apic_base:x}\n");
        Segment(text, "cs", s.cs);
        Segment(text, "ds", s.ds);
        Segment(text, "ss", s.ss);
        Segment(text, "tr", s.tr);
        text.Append($"gdt={s.gdt.@base:x16}+{s.gdt.limit:x} idt={s.idt.@base:x16}+{s.idt.limit:x}\n");
    }

    private static void Segment(StringBuilder text, string name, in kvm_segment s) =>
        text.Append($"{name}={s.selector:x4} base={s.@base:x16} limit={s.limit:x8} type={s.type:x} dpl={s.dpl} p={s.present} l={s.l} db={s.db}\n");

    private static byte[] ReadCode(Vcpu vcpu, ulong linear)
    {
        var code = new List<byte>(ByteCount);
        Span<byte> one = stackalloc byte[1];
        ulong page = ulong.MaxValue, physical = 0;
        for (int i = 0; i < ByteCount; i++)
        {
            ulong address = linear + (ulong)i;
            if (address >> 12 != page)
            {
                if (!vcpu.TryTranslate(address, out GuestAddress translated))
                    break;
                page = address >> 12;
                physical = translated.Value & ~0xFFFUL;
            }

            if (!vcpu.Vm.TryReadMemory(new GuestAddress(physical | (address & 0xFFF)), one))
                break;
            code.Add(one[0]);
        }

        return [.. code];
    }

    private static void Disassemble(StringBuilder text, byte[] code, ulong rip, int bitness)
    {
        if (code.Length == 0)
            return;
        var decoder = Iced.Intel.Decoder.Create(bitness, new ByteArrayCodeReader(code), rip);
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        for (int i = 0; i < 6 && decoder.IP - rip < (ulong)code.Length; i++)
        {
            decoder.Decode(out Instruction instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
                return;
            formatter.Format(instruction, output);
            text.Append($"  {instruction.IP:x}: {output.ToStringAndReset()}\n");
        }
    }
}
