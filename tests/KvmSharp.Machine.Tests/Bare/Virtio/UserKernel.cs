using System.Buffers.Binary;
using Iced.Intel;
using KvmSharp.TestKit.Guests;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>
/// Makes Multiboot kernels whose payload is 64-bit code in ring 3, with I/O privilege level 3, interrupts off and the first 8 GiB mapped
/// one to one: what a KVM that emulates ring 0 runs at full speed. Ring 0 is left with tables, a handler that counts interrupts and
/// one that halts where the payload does, for want of system calls on such a KVM. An exception ends the machine with its <see cref="ExceptionStatus"/>.
/// </summary>
internal static class UserKernel
{
    /// <summary>The payload is here, what it stores from <see cref="GuestCode.Results"/> on; from <see cref="Free"/> on memory is its own.</summary>
    internal const uint Code = 0x11_0000;
    internal const uint Free = 0x20_0000;

    /// <summary>The process status that an exception leads to.</summary>
    internal static int ExceptionStatus(int vector) => ((int)FirstExceptionExit + vector) << 1 | 1;

    /// <summary>The vector that has a handler, and the dword where it counts.</summary>
    internal const byte Vector = 0x40;
    internal const uint InterruptCount = Tables + 0xC00;

    private const uint KernelCode = 0x12_0000, HaltHandler = KernelCode + 0x200, Handler = KernelCode + 0x300, ExceptionHandlers = KernelCode + 0x400;
    private const uint Tables = 0x13_0000, Gdt = Tables, Tss = Tables + 0x100, Idt = Tables + 0x400;
    private const uint PageTables = 0x14_0000;
    private const uint KernelStack = 0x16_8000;
    private const int MappedGibibytes = 8, GeneralProtection = 13, TablesLength = 0x1000, Exceptions = 32, ExceptionHandlerLength = 0x20;
    private const uint FirstExceptionExit = 0x40;
    private const byte KernelCodeSelector = 0x08, KernelDataSelector = 0x10, UserDataSelector = 0x23, UserCodeSelector = 0x2B, TssSelector = 0x30;

    internal static byte[] Elf(Action<Assembler> payload, params (uint Address, byte[] Data)[] segments)
    {
        byte[] code = Payload.Assemble(64, Code, a =>
        {
            a.mov(edi, GuestCode.Results);
            a.cld();
            payload(a);
        });
        Assert.InRange(code.Length, 1, (int)(KernelCode - Code));
        return BareKernel.Elf(EnterLongMode, [(Code, code), (KernelCode, AssembleKernel()), (Tables, MakeTables()), (PageTables, MakePageTables()), .. segments]);
    }

    /// <summary>Halts until an interrupt has been handled, or handles one that came before.</summary>
    internal static void WaitForInterrupt(this Assembler a) => a.hlt();

    private static void EnterLongMode(Assembler a)
    {
        a.mov(esp, GuestCode.StackTop);
        a.mov(__word_ptr[GuestCode.StackTop], (short)0xFF);
        a.mov(__dword_ptr[GuestCode.StackTop + 2], Gdt);
        a.lgdt(__fword_ptr[GuestCode.StackTop]);
        a.mov(__word_ptr[GuestCode.StackTop], (short)0x7FF);
        a.mov(__dword_ptr[GuestCode.StackTop + 2], Idt);
        a.lidt(__fword_ptr[GuestCode.StackTop]);
        a.mov(__dword_ptr[GuestCode.LocalApic + 0xF0], 0x1FF);
        a.mov(eax, 0x20); // PAE
        a.mov(cr4, eax);
        a.mov(eax, PageTables);
        a.mov(cr3, eax);
        a.mov(ecx, 0xC000_0080); // EFER: long mode
        a.mov(eax, 0x100);
        a.xor(edx, edx);
        a.wrmsr();
        a.mov(eax, 0x8000_0031);
        a.mov(cr0, eax);
        a.push(KernelCodeSelector);
        a.push(KernelCode);
        a.retf();
    }

    private static byte[] AssembleKernel()
    {
        byte[] kernel = new byte[0x800];
        Payload.Assemble(64, KernelCode, a =>
        {
            a.mov(eax, KernelDataSelector);
            a.mov(ss, eax);
            a.mov(esp, KernelStack);
            a.mov(eax, TssSelector);
            a.ltr(ax);
            a.push(UserDataSelector);
            a.push((int)GuestCode.StackTop);
            a.push(0x3002);
            a.push(UserCodeSelector);
            a.push((int)Code);
            a.iretq();
        }).CopyTo(kernel, 0);
        Payload.Assemble(64, HaltHandler, a =>
        {
            Label other = a.CreateLabel();
            a.push(rax);
            a.mov(rax, __qword_ptr[rsp + 16]);
            a.cmp(__byte_ptr[rax], 0xF4);
            a.jne(other);
            a.sti();
            a.hlt();
            a.cli();
            a.pop(rax);
            a.add(rsp, 8);
            a.inc(__qword_ptr[rsp]);
            a.iretq();
            a.Place(ref other);
            a.jmp(ExceptionHandlers + (GeneralProtection * ExceptionHandlerLength));
        }).CopyTo(kernel, HaltHandler - KernelCode);
        Payload.Assemble(64, Handler, a =>
        {
            a.push(rax);
            a.@lock.inc(__dword_ptr[InterruptCount]);
            a.mov(eax, GuestCode.LocalApic);
            a.mov(__dword_ptr[rax + 0xB0], 0);
            a.pop(rax);
            a.iretq();
        }).CopyTo(kernel, Handler - KernelCode);
        for (uint vector = 0; vector < Exceptions; vector++)
        {
            uint status = FirstExceptionExit + vector, at = ExceptionHandlers + (ExceptionHandlerLength * vector);
            Payload.Assemble(64, at, a => a.Exit(status)).CopyTo(kernel, at - KernelCode);
        }

        return kernel;
    }

    private static byte[] MakeTables()
    {
        byte[] tables = new byte[TablesLength];
        ulong[] descriptors =
        [
            0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
            0x0000_8900_0000_0067 | (ulong)(Tss & 0xFF_FFFF) << 16, 0,
        ];
        for (int i = 0; i < descriptors.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(8 * i), descriptors[i]);
        BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan((int)(Tss - Tables) + 4), KernelStack);
        for (int vector = 0; vector < Exceptions; vector++)
            WriteGate(tables, vector, ExceptionHandlers + (ExceptionHandlerLength * (uint)vector));
        WriteGate(tables, Vector, Handler);
        WriteGate(tables, GeneralProtection, HaltHandler);
        return tables;
    }

    private static void WriteGate(byte[] tables, int vector, uint handler)
    {
        ulong gate = (handler & 0xFFFF) | (ulong)KernelCodeSelector << 16 | 0x8E00UL << 32 | (ulong)(handler >> 16) << 48;
        BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan((int)(Idt - Tables) + (16 * vector)), gate);
    }

    // Present, writable, for users; 2 MiB each.
    private static byte[] MakePageTables()
    {
        byte[] tables = new byte[(2 + MappedGibibytes) * 0x1000];
        BinaryPrimitives.WriteUInt64LittleEndian(tables, (PageTables + 0x1000) | 7);
        for (int i = 0; i < MappedGibibytes; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(0x1000 + (8 * i)), (PageTables + 0x2000 + (0x1000UL * (uint)i)) | 7);
        for (uint i = 0; i < 512 * MappedGibibytes; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(0x2000 + (int)(8 * i)), ((ulong)i << 21) | 0x87);
        return tables;
    }
}
