namespace KvmSharp.Machine.Boot;

/// <summary>How the kernel is entered.</summary>
public enum BootProtocol
{
    /// <summary>By what the file is: bzImage → Linux, ELF with a PVH note → PVH, Multiboot header → Multiboot.</summary>
    Auto,

    /// <summary>The 64-bit Linux/x86 boot protocol (Documentation/arch/x86/boot.rst).</summary>
    Linux,

    /// <summary>PVH direct boot (xen/include/public/arch-x86/hvm/start_info.h).</summary>
    Pvh,

    /// <summary>Multiboot 0.6.96, "Multiboot 1".</summary>
    Multiboot,
}
