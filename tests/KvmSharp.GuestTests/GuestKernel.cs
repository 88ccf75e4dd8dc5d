namespace KvmSharp.GuestTests;

/// <summary>A stock Debian kernel, unpacked by scripts/guest.sh.</summary>
public sealed record GuestKernel(string Folder, string Initramfs)
{
    /// <summary>The compressed image for the Linux boot protocol.</summary>
    public string BzImage => Path.Combine(Folder, "vmlinuz");

    /// <summary>The ELF image inside it, which carries the PVH note.</summary>
    public string Elf => Path.Combine(Folder, "vmlinux");

    /// <summary>The file a boot protocol takes: "bzImage" or "pvh".</summary>
    public string Image(string protocol) => protocol == "pvh" ? Elf : BzImage;
}
