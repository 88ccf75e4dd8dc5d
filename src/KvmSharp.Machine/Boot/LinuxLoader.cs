using System.Buffers.Binary;
using KvmSharp.Core.Memory;
using KvmSharp.Machine.Boot.Unpacked;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Loads a bzImage through the 64-bit boot protocol (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"), or the kernel inside it, whose own 64-bit entry
/// wants the same state: the address of the boot parameters in RSI and an identity map.
/// </summary>
internal static class LinuxLoader
{
    private const ulong Entry64 = 0x200;
    private const byte KaslrFlag = 2;
    private const int E820Count = 0x1E8;
    private const int E820Table = 0x2D0;
    private const int E820EntryLength = 20;

    internal static BootEntry Load(GuestMemory memory, BootRequest request, BootFile kernel, ReadOnlySpan<byte> head)
    {
        if (request.Modules.Count > 0)
            throw new BootException("the Linux boot protocol takes one initrd and no modules; use --initrd");
        LinuxSetupHeader header = LinuxSetupHeader.Read(kernel, head);
        int limit = (int)Math.Min(header.CommandLineLimit, BootLayout.CommandLineRoom - 1);
        byte[] commandLine = BootText.Encode("kernel command line", request.CommandLine, limit);

        using CachedKernel? unpacked = OpenUnpacked(memory, request, kernel, header);
        LoadedRange image = unpacked is null ? LoadPacked(memory, request, kernel, header) : new(unpacked.LinkStart, unpacked.LinkStart + unpacked.Span);
        (ulong initrd, ulong initrdLength) = LoadInitrd(memory, request, header, image.End);
        ulong entry = image.Start + Entry64;
        var random = false;
        if (unpacked is not null)
        {
            ulong ceiling = initrd != 0 && initrd < memory.Regions[0].End ? initrd : memory.Regions[0].End;
            KernelPlacement placement = KernelPlacement.Choose(unpacked, header.KernelAlignment, ceiling, request.CommandLine);
            unpacked.LoadTo(memory, placement.Load, placement.Delta, request.Helper);
            image = new(placement.Load, placement.Load + unpacked.Span);
            entry = placement.Load + unpacked.Entry;
            random = placement.IsRandom;
        }

        WriteBootParams(memory, request, header, image.Start, random, initrd, initrdLength);
        if (!memory.TryWrite(new(BootLayout.CommandLine), commandLine))
            throw new BootException("guest memory is too small for the command line; give the guest more memory");
        BootSegments.WriteGdt(memory, BootLayout.Gdt, BootMode.Long64);
        BootPageTables.Write(memory, BootLayout.PageTables);
        return new BootEntry
        {
            Protocol = BootProtocol.Linux,
            Mode = BootMode.Long64,
            Rip = entry,
            Rsp = BootLayout.StackTop,
            Rsi = BootLayout.BootParams,
            Cr0 = 0x8000_0011, // PG, ET, PE
            Cr3 = BootLayout.PageTables,
            Cr4 = 0x20, // PAE
            Efer = 0x500, // LMA, LME
            GdtAddress = BootLayout.Gdt,
            GdtLimit = BootSegments.GdtLength - 1,
            Code = BootSegments.Code64,
            Data = BootSegments.Data,
            TaskState = BootSegments.TaskState,
            KernelStart = image.Start,
            KernelEnd = image.End,
            InitrdStart = initrd,
            InitrdLength = initrdLength,
        };
    }

    /// <summary>The kernel out of the cache, if it has a place in this guest where it is linked; more memory leaves it more.</summary>
    private static CachedKernel? OpenUnpacked(GuestMemory memory, BootRequest request, BootFile kernel, LinuxSetupHeader header)
    {
        CachedKernel? unpacked = request.KernelCache?.Open(kernel, header, request.Files);
        ulong lowEnd = memory.Regions[0].End;
        if (unpacked is null || (unpacked.LinkStart >= BootLayout.OneMiB && unpacked.LinkStart < lowEnd && unpacked.Span <= lowEnd - unpacked.LinkStart))
            return unpacked;
        unpacked.Dispose();
        return null;
    }

    /// <summary>As the file has it, to unpack itself; returns all that it will then use.</summary>
    private static LoadedRange LoadPacked(GuestMemory memory, BootRequest request, BootFile kernel, LinuxSetupHeader header)
    {
        ulong load = PlaceKernel(memory, kernel, header);
        ulong reach = Math.Max(header.InitSize, header.SystemLength);
        ulong length = Math.Min(kernel.Length - header.SetupLength, reach);
        return kernel.TryReadToGuest(memory, load, header.SetupLength, length, request.Helper) ? new(load, load + reach) : throw TooLarge(kernel, reach, memory);
    }

    /// <summary>At the preferred address if that is RAM (no relocation needed then), else as low as the alignment allows.</summary>
    private static ulong PlaceKernel(GuestMemory memory, BootFile kernel, LinuxSetupHeader header)
    {
        ulong size = Math.Max(header.InitSize, header.SystemLength);
        ulong lowEnd = memory.Regions[0].End;
        ulong preferred = header.PreferredAddress;
        if (preferred >= BootLayout.OneMiB && preferred % header.KernelAlignment == 0 && size <= lowEnd && preferred <= lowEnd - size)
            return preferred;
        ulong lowest = BootLayout.AlignUp(BootLayout.OneMiB, header.KernelAlignment);
        return header.Relocatable && size <= lowEnd && lowest <= lowEnd - size ? lowest : throw TooLarge(kernel, size, memory);
    }

    /// <summary>As high as possible: the kernel reserves it there, and low memory stays whole.</summary>
    private static (ulong Address, ulong Length) LoadInitrd(GuestMemory memory, BootRequest request, LinuxSetupHeader header, ulong kernelEnd)
    {
        if (string.IsNullOrEmpty(request.InitrdPath))
            return (0, 0);
        using BootFile file = BootFile.Open("initrd", request.InitrdPath, request.Files);
        ReadOnlySpan<GuestMemoryRegion> regions = memory.Regions;
        ulong top = regions[0].End;
        if (!header.InitrdAbove4G)
            top = Math.Min(top, (ulong)header.InitrdMax + 1);
        ulong address = PlaceBelow(top, file.Length, kernelEnd);
        if (address == 0 && header.InitrdAbove4G && regions.Length > 1)
            address = PlaceBelow(regions[^1].End, file.Length, regions[^1].Start.Value);
        if (address == 0 || !file.TryReadToGuest(memory, address, 0, file.Length, request.Helper))
            throw file.Error($"is {file.Length} bytes and does not fit beside the kernel in {memory.SizeBytes >> 20} MiB of guest memory; give the guest more memory");
        return (address, file.Length);
    }

    private static ulong PlaceBelow(ulong top, ulong length, ulong floor)
    {
        if (length > top)
            return 0;
        ulong address = BootLayout.AlignDown(top - length, GuestMemory.PageSize);
        return address >= floor ? address : 0;
    }

    private static void WriteBootParams(GuestMemory memory, BootRequest request, LinuxSetupHeader header, ulong load, bool random, ulong initrd, ulong initrdLength)
    {
        Span<byte> page = stackalloc byte[(int)GuestMemory.PageSize];
        page.Clear();
        header.Bytes.CopyTo(page[LinuxSetupHeader.Start..]);
        BinaryPrimitives.WriteUInt64LittleEndian(page[0x070..], request.RsdpAddress); // acpi_rsdp_addr
        BinaryPrimitives.WriteUInt16LittleEndian(page[0x1FA..], 0xFFFF); // vid_mode: normal
        page[0x210] = 0xFF; // type_of_loader: no assigned number
        page[0x211] |= (byte)(random ? KaslrFlag : 0); // loadflags
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x214..], (uint)load); // code32_start
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x218..], (uint)initrd); // ramdisk_image
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x21C..], (uint)initrdLength); // ramdisk_size
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x0C0..], (uint)(initrd >> 32)); // ext_ramdisk_image
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x0C4..], (uint)(initrdLength >> 32)); // ext_ramdisk_size
        BinaryPrimitives.WriteUInt32LittleEndian(page[0x228..], (uint)BootLayout.CommandLine); // cmd_line_ptr
        BinaryPrimitives.WriteUInt64LittleEndian(page[0x250..], 0); // setup_data: none

        IReadOnlyList<BootMemoryRange> map = MemoryMap.Build(memory, request.ExtraRanges);
        page[E820Count] = (byte)map.Count;
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = page.Slice(E820Table + (i * E820EntryLength), E820EntryLength);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, map[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], map[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)map[i].Type);
        }

        if (!memory.TryWrite(new(BootLayout.BootParams), page))
            throw new BootException("guest memory is too small for the boot parameters; give the guest more memory");
    }

    private static BootException TooLarge(BootFile kernel, ulong size, GuestMemory memory) =>
        kernel.Error($"needs {(size + 0xF_FFFF) >> 20} MiB above 1 MiB but the guest has {memory.SizeBytes >> 20} MiB of memory; give the guest more memory");
}
