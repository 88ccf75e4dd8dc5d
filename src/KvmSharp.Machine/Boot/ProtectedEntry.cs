namespace KvmSharp.Machine.Boot;

/// <summary>The 32-bit entry state PVH and Multiboot share: flat segments, paging off, interrupts off.</summary>
internal static class ProtectedEntry
{
    internal static BootEntry Create(BootProtocol protocol, ulong entry, ulong gdt, IReadOnlyList<LoadedRange> loaded, LoadedRange initrd) => new()
    {
        Protocol = protocol,
        Mode = BootMode.Protected32,
        Rip = entry,
        Cr0 = 0x11, // ET, PE
        GdtAddress = gdt,
        GdtLimit = BootSegments.GdtLength - 1,
        Code = BootSegments.Code32,
        Data = BootSegments.Data,
        TaskState = BootSegments.TaskState,
        KernelStart = ImagePlacement.Start(loaded),
        KernelEnd = ImagePlacement.End(loaded),
        InitrdStart = initrd.Start,
        InitrdLength = initrd.End - initrd.Start,
    };
}
