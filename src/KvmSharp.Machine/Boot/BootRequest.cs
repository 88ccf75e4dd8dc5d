using KvmSharp.Machine.Boot.Unpacked;

namespace KvmSharp.Machine.Boot;

/// <summary>What to boot.</summary>
public sealed record BootRequest
{
    /// <summary>The kernel file.</summary>
    public required string KernelPath { get; init; }

    /// <summary>The initial RAM disk: the Linux initrd; for PVH and Multiboot the first module.</summary>
    public string? InitrdPath { get; init; }

    /// <summary>Further modules, in order (PVH and Multiboot; the Linux protocol has only the initrd).</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    public string CommandLine { get; init; } = "";

    public BootProtocol Protocol { get; init; }

    /// <summary>Where kernels are kept unpacked; null: a bzImage unpacks itself.</summary>
    public KernelCache? KernelCache { get; init; }

    /// <summary>Where the files stay open for the next boot; null: nowhere.</summary>
    public BootFiles? Files { get; init; }

    /// <summary>Where what is long is shared out; nobody need help.</summary>
    internal LoadHelper Helper { get; init; } = new();

    /// <summary>Ranges added to the memory map beside RAM and the firmware areas every guest gets; they must not overlap those.</summary>
    public IReadOnlyList<BootMemoryRange> ExtraRanges { get; init; } = [];

    /// <summary>Where <see cref="Acpi.AcpiTables"/> put the RSDP; 0 for a guest without ACPI.</summary>
    public ulong RsdpAddress { get; init; }
}
