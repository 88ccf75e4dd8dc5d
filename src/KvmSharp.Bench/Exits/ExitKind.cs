using System.Buffers.Binary;

namespace KvmSharp.Bench.Exits;

/// <summary>Something that a guest and its monitor do to each other, as real-mode code that does it again and again.</summary>
/// <param name="Path">What is measured.</param>
/// <param name="Code">For <see cref="ExitGuest"/>; leaves for its monitor ESI times.</param>
/// <param name="PerExit">How often it does what is measured for each time it leaves.</param>
internal sealed record ExitKind(string Path, byte[] Code, int PerExit = 1, ExitInterrupt Interrupt = ExitInterrupt.None, bool HasDoorbell = false)
{
    private const int InnerLoop = 100;

    public static IReadOnlyList<ExitKind> All { get; } =
    [
        new("guest-loop", Batched(0x66, 0x90), InnerLoop), // nop
        new("pio-out", Single(0xEE)), // out dx, al
        new("pio-in", Single(0xEC)), // in al, dx
        new("mmio-write", Single(0x66, 0x89, 0x07)), // mov [bx], eax
        new("mmio-read", Single(0x66, 0x8B, 0x07)), // mov eax, [bx]
        new("ioeventfd", Batched(0xE6, ExitGuest.Doorbell), InnerLoop, HasDoorbell: true), // out imm8, al
        new("irqfd", Interrupted(), Interrupt: ExitInterrupt.Irqfd),
        new("signal-msi", Interrupted(), Interrupt: ExitInterrupt.Msi),
    ];

    private static byte[] Single(params byte[] instruction) =>
    [
        .. instruction,
        0x66, 0x4E, // dec esi
        0x75, (byte)-(instruction.Length + 4), // jnz to the start
        0xF4, // hlt
    ];

    private static byte[] Batched(byte first, byte second)
    {
        byte[] code =
        [
            0x66, 0xB9, 0, 0, 0, 0, // mov ecx, InnerLoop
            first, second,
            0x66, 0x49, // dec ecx
            0x75, 0xFA, // jnz to the instruction
            0xEE, // out dx, al
            0x66, 0x4E, // dec esi
            0x75, 0xEF, // jnz to the start
            0xF4, // hlt
        ];
        BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(2), InnerLoop);
        return code;
    }

    // Turns the local APIC on, leaves once, then waits for interrupts, each of which leaves once.
    private static byte[] Interrupted()
    {
        byte[] code = new byte[ExitGuest.Handler - ExitGuest.Code + 8];
        ((ReadOnlySpan<byte>)
        [
            0x26, 0x66, 0xC7, 0x06, 0xF0, 0x00, 0xFF, 0x01, 0x00, 0x00, // mov dword es:[0xf0], 0x1ff
            0xEE, // out dx, al
            0xFB, // sti
            0xF4, // hlt
            0xEB, 0xFD, // jmp to the hlt
        ]).CopyTo(code);
        ((ReadOnlySpan<byte>)
        [
            0x26, 0x66, 0x89, 0x1E, 0xB0, 0x00, // mov es:[0xb0], ebx: end of interrupt
            0xEE, // out dx, al
            0xCF, // iret
        ]).CopyTo(code.AsSpan((int)(ExitGuest.Handler - ExitGuest.Code)));
        return code;
    }
}

/// <summary>What the monitor does at each exit (native-shims/exit-floor.h).</summary>
internal enum ExitInterrupt : uint
{
    None,
    Irqfd,
    Msi,
}

/// <summary>The guest that <see cref="ExitKind.Code"/> runs in; the same numbers as in native-shims/exit-floor.h.</summary>
internal static class ExitGuest
{
    public const ulong MemoryBytes = 0x1_0000;
    public const ulong Code = 0x1000;
    public const ulong Handler = 0x1100;
    public const ulong Stack = 0x8000;
    public const ushort Port = 0xE0;
    public const byte Doorbell = 0xE4;
    public const ulong Mmio = 0xA_0000;
    public const ulong LocalApic = 0xFEE0_0000;
    public const byte Vector = 0x40;
}
