namespace KvmSharp.Machine.Config;

/// <summary>How the kernel is entered.</summary>
public enum BootProtocol
{
    /// <summary>Decided by looking at the file.</summary>
    Auto,

    /// <summary>bzImage, 64-bit Linux boot protocol.</summary>
    Linux,

    /// <summary>ELF with XEN_ELFNOTE_PHYS32_ENTRY.</summary>
    Pvh,

    /// <summary>Multiboot 1.</summary>
    Multiboot,
}
