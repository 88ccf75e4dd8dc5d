using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Boots a Multiboot 1 kernel: ELF by its program headers, anything with the header's address fields by those (§3.1.3).</summary>
internal static class MultibootLoader
{
    internal const uint BootloaderMagic = 0x2BAD_B002;

    internal static BootEntry Load(GuestMemory memory, BootRequest request, BootFile kernel, in MultibootHeader header, ElfImage? elf)
    {
        IReadOnlyList<LoadedRange> loaded;
        ulong entry;
        if (header.HasAddresses)
        {
            loaded = [LoadByAddresses(memory, kernel, header)];
            entry = header.EntryAddress;
        }
        else if (elf is not null)
        {
            loaded = elf.LoadSegments(memory, request.Helper);
            entry = PhysicalEntry(elf);
        }
        else
        {
            throw kernel.Error("has a Multiboot header without addresses and is not an ELF file; build it as ELF or set header flag 16");
        }

        if (!ImagePlacement.Contains(loaded, entry))
            throw kernel.Error($"has its entry at 0x{entry:x}, outside what it loads; build it again");
        LowMemory low = new(memory, loaded);
        ulong gdt = low.Take(BootSegments.GdtLength);
        BootSegments.WriteGdt(memory, gdt, BootMode.Protected32);
        MultibootInfo info = new(memory, low);
        LoadedRange first = info.LoadModules(ImagePlacement.AllModules(request), request.Files, ImagePlacement.End(loaded));
        ulong address = info.Write(request);
        return ProtectedEntry.Create(BootProtocol.Multiboot, entry, gdt, loaded, first) with { Rax = BootloaderMagic, Rbx = address };
    }

    private static LoadedRange LoadByAddresses(GuestMemory memory, BootFile kernel, in MultibootHeader header)
    {
        if (header.LoadAddress > header.HeaderAddress || header.HeaderAddress - header.LoadAddress > (uint)header.Offset)
            throw kernel.Error("has a Multiboot header whose load address does not match its place in the file; build it again");
        ulong offset = (uint)header.Offset - (header.HeaderAddress - header.LoadAddress);
        ulong end = header.LoadEnd != 0 ? header.LoadEnd : header.LoadAddress + (kernel.Length - offset);
        if (end <= header.HeaderAddress || (header.BssEnd != 0 && header.BssEnd < end))
            throw kernel.Error("has a Multiboot header with addresses out of order; build it again");
        ulong length = end - header.LoadAddress;
        if (length > kernel.Length - offset)
            throw kernel.Error($"is cut short: {kernel.Length} of {offset + length} bytes; copy it again");
        ulong bssEnd = Math.Max(end, header.BssEnd);
        ImagePlacement.Check(memory, kernel, header.LoadAddress, bssEnd - header.LoadAddress);
        kernel.TryReadToGuest(memory, header.LoadAddress, offset, length);
        return new(header.LoadAddress, bssEnd);
    }

    /// <summary>e_entry is virtual; kernels linked high get the physical address of the segment it lies in.</summary>
    private static ulong PhysicalEntry(ElfImage elf)
    {
        foreach (ElfSegment s in elf.Segments)
        {
            if (s.Type == ElfSegment.Load && elf.Entry >= s.VirtualAddress && elf.Entry - s.VirtualAddress < s.MemoryLength)
                return s.PhysicalAddress + (elf.Entry - s.VirtualAddress);
        }

        return elf.Entry;
    }
}
