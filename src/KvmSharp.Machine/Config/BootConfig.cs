using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Config;

/// <summary>What the machine starts with.</summary>
public sealed record BootConfig
{
    /// <summary>bzImage, ELF vmlinux or Multiboot kernel; null only until the configuration is complete.</summary>
    public string? KernelPath { get; init; }

    public string? InitrdPath { get; init; }

    /// <summary>Kernel command line, as given.</summary>
    public string Append { get; init; } = "";

    /// <summary>Further modules, in order (Multiboot, PVH).</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    public BootProtocol Protocol { get; init; } = BootProtocol.Auto;

    /// <summary>A bzImage unpacks itself in the guest, although the user's cache could keep it unpacked.</summary>
    public bool NoKernelCache { get; init; }
}
