using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>
/// Pieces of 32-bit guest code. A payload begins with <see cref="Begin"/>, stores what it found with stosd through edi, and ends
/// with <see cref="Finish"/>, which copies all of it to the debug console and leaves by debug-exit.
/// </summary>
internal static class GuestCode
{
    internal const ushort ExitPort = 0xF4;
    internal const ushort ConsolePort = 0xE9;
    internal const uint Results = 0x18_0000;
    internal const uint StackTop = 0x17_0000;
    internal const uint LocalApic = 0xFEE0_0000;
    internal const uint IoApic = 0xFEC0_0000;

    /// <summary>What a payload's ordinary end makes of the process status.</summary>
    internal const int FinishStatus = 1;

    internal static void Begin(this Assembler a)
    {
        a.mov(esp, StackTop);
        a.mov(edi, Results);
        a.cld();
    }

    internal static void Store(this Assembler a, uint value)
    {
        a.mov(eax, value);
        a.stosd();
    }

    internal static void Finish(this Assembler a)
    {
        a.mov(esi, Results);
        a.mov(ecx, edi);
        a.sub(ecx, esi);
        a.mov(edx, ConsolePort);
        a.rep.outsb();
        a.Exit(FinishStatus >> 1);
    }

    internal static void Exit(this Assembler a, uint value)
    {
        a.Out32(ExitPort, value);
        a.Hang();
    }

    /// <summary>Stops this processor for good.</summary>
    internal static void Hang(this Assembler a)
    {
        Label again = a.CreateLabel();
        a.cli();
        a.Label(ref again);
        a.hlt();
        a.jmp(again);
    }

    internal static void Print(this Assembler a, char c) => a.Out8(ConsolePort, (byte)c);

    internal static void Out8(this Assembler a, ushort port, byte value)
    {
        a.mov(edx, port);
        a.mov(al, value);
        a.@out(dx, al);
    }

    internal static void Out16(this Assembler a, ushort port, ushort value)
    {
        a.mov(edx, port);
        a.mov(ax, value);
        a.@out(dx, ax);
    }

    internal static void Out32(this Assembler a, ushort port, uint value)
    {
        a.mov(edx, port);
        a.mov(eax, value);
        a.@out(dx, eax);
    }

    /// <summary>Reads a port of 1, 2 or 4 bytes and stores it as a dword.</summary>
    internal static void StoreIn(this Assembler a, ushort port, int width = 1)
    {
        a.mov(edx, port);
        a.xor(eax, eax);
        switch (width)
        {
            case 1:
                a.@in(al, dx);
                break;
            case 2:
                a.@in(ax, dx);
                break;
            default:
                a.@in(eax, dx);
                break;
        }

        a.stosd();
    }

    internal static void StoreMemory(this Assembler a, uint address)
    {
        a.mov(eax, __dword_ptr[address]);
        a.stosd();
    }

    internal static void Write32(this Assembler a, uint address, uint value) => a.mov(__dword_ptr[address], value);

    /// <summary>Waits until a port's byte has a bit of the mask set.</summary>
    internal static void WaitIn(this Assembler a, ushort port, byte mask)
    {
        Label again = a.CreateLabel();
        a.mov(edx, port);
        a.Label(ref again);
        a.@in(al, dx);
        a.test(al, mask);
        a.jz(again);
    }

    /// <summary>Turns this processor's local APIC on.</summary>
    internal static void EnableLocalApic(this Assembler a) => a.Write32(LocalApic + 0xF0, 0x1FF);

    /// <summary>Puts a label here, also where there is one already.</summary>
    internal static void Place(this Assembler a, ref Label label)
    {
        a.zero_bytes();
        a.Label(ref label);
    }

    /// <summary>Unmasks an I/O APIC input: edge, active high, fixed, to APIC id 0.</summary>
    internal static void RouteGsi(this Assembler a, byte gsi, byte vector, bool level = false)
    {
        a.Write32(IoApic, 0x11u + (2u * gsi));
        a.Write32(IoApic + 0x10, 0);
        a.Write32(IoApic, 0x10u + (2u * gsi));
        a.Write32(IoApic + 0x10, vector | (level ? 0x8000u : 0));
    }

    /// <summary>One local APIC register dword of the interrupt request bitmap, masked to the vector's bit: non-zero if requested.</summary>
    internal static void StoreRequested(this Assembler a, byte vector)
    {
        a.mov(eax, __dword_ptr[LocalApic + 0x200 + ((uint)vector / 32 * 0x10)]);
        a.shr(eax, (byte)(vector % 32));
        a.and(eax, 1);
        a.stosd();
    }

    /// <summary>lock inc dword [address].</summary>
    internal static void LockIncrement(this Assembler a, uint address) => a.@lock.inc(__dword_ptr[address]);
}
