namespace KvmSharp.Machine.Boot;

/// <summary>
/// The state of the first vCPU at the kernel's first instruction. Registers not named are 0; RFLAGS is 2 (interrupts off).
/// </summary>
public sealed record BootEntry
{
    public required BootProtocol Protocol { get; init; }

    public required BootMode Mode { get; init; }

    public required ulong Rip { get; init; }

    public ulong Rsp { get; init; }

    public ulong Rax { get; init; }

    public ulong Rbx { get; init; }

    public ulong Rsi { get; init; }

    public ulong Rdi { get; init; }

    public required ulong Cr0 { get; init; }

    public ulong Cr3 { get; init; }

    public ulong Cr4 { get; init; }

    public ulong Efer { get; init; }

    public required ulong GdtAddress { get; init; }

    public required ushort GdtLimit { get; init; }

    /// <summary>CS.</summary>
    public required BootSegment Code { get; init; }

    /// <summary>DS, ES, FS, GS and SS.</summary>
    public required BootSegment Data { get; init; }

    /// <summary>TR, a busy TSS; VM entry wants one.</summary>
    public required BootSegment TaskState { get; init; }

    /// <summary>First byte of the kernel in guest RAM.</summary>
    public required ulong KernelStart { get; init; }

    /// <summary>Past the last byte the kernel occupies or will occupy, bss included.</summary>
    public required ulong KernelEnd { get; init; }

    /// <summary>First byte of the initrd or first module; 0 without one.</summary>
    public ulong InitrdStart { get; init; }

    public ulong InitrdLength { get; init; }
}
