using System.Buffers.Binary;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Boots an ELF kernel through PVH (xen/include/public/arch-x86/hvm/start_info.h, docs/misc/pvh.pandoc).</summary>
internal static class PvhLoader
{
    private const uint StartInfoMagic = 0x336E_C578;
    private const int StartInfoLength = 56, ModuleLength = 32, RangeLength = 24;

    /// <summary>What Linux/x86 keeps (COMMAND_LINE_SIZE); it would cut more without a word.</summary>
    private const int CommandLineLimit = 2047;

    internal static BootEntry Load(GuestMemory memory, BootRequest request, BootFile kernel, ElfImage image, ulong entry)
    {
        byte[] commandLine = BootText.Encode("kernel command line", request.CommandLine, CommandLineLimit);
        IReadOnlyList<LoadedRange> loaded = image.LoadSegments(memory, request.Helper);
        if (!ImagePlacement.Contains(loaded, entry))
            throw kernel.Error($"has a PVH entry at 0x{entry:x}, outside its segments; build it again");
        LowMemory low = new(memory, loaded);
        ulong gdt = low.Take(BootSegments.GdtLength);
        BootSegments.WriteGdt(memory, gdt, BootMode.Protected32);
        ulong info = low.Take(StartInfoLength);
        (ulong list, int count, LoadedRange first) = LoadModules(memory, request, ImagePlacement.End(loaded), low);
        IReadOnlyList<BootMemoryRange> map = MemoryMap.Build(memory, request.ExtraRanges);
        ulong ranges = PutMap(low, map);

        Span<byte> start = stackalloc byte[StartInfoLength];
        start.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(start, StartInfoMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(start[4..], 1); // version: with a memory map
        BinaryPrimitives.WriteUInt32LittleEndian(start[12..], (uint)count);
        BinaryPrimitives.WriteUInt64LittleEndian(start[16..], list);
        BinaryPrimitives.WriteUInt64LittleEndian(start[24..], low.Put(commandLine));
        BinaryPrimitives.WriteUInt64LittleEndian(start[32..], request.RsdpAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(start[40..], ranges);
        BinaryPrimitives.WriteUInt32LittleEndian(start[48..], (uint)map.Count);
        low.Write(info, start);
        return ProtectedEntry.Create(BootProtocol.Pvh, entry, gdt, loaded, first) with { Rbx = info };
    }

    private static ulong PutMap(LowMemory low, IReadOnlyList<BootMemoryRange> map)
    {
        byte[] bytes = new byte[map.Count * RangeLength];
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> range = bytes.AsSpan(i * RangeLength);
            BinaryPrimitives.WriteUInt64LittleEndian(range, map[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(range[8..], map[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(range[16..], (uint)map[i].Type);
        }

        return low.Put(bytes);
    }

    /// <summary>From the top of low RAM down: Linux reserves the first, its initrd, where it lies.</summary>
    private static (ulong List, int Count, LoadedRange First) LoadModules(GuestMemory memory, BootRequest request, ulong floor, LowMemory low)
    {
        IReadOnlyList<BootModule> modules = ImagePlacement.AllModules(request);
        if (modules.Count == 0)
            return (0, 0, default);
        byte[] list = new byte[modules.Count * ModuleLength];
        ulong top = memory.Regions[0].End;
        floor = Math.Max(floor, BootLayout.OneMiB);
        LoadedRange first = default;
        for (int i = 0; i < modules.Count; i++)
        {
            using BootFile file = BootFile.Open(i == 0 ? "initrd" : "module", modules[i].Path, request.Files);
            ulong address = file.Length <= top ? BootLayout.AlignDown(top - file.Length, GuestMemory.PageSize) : 0;
            if (address < floor || !file.TryReadToGuest(memory, address, 0, file.Length, request.Helper))
                throw ImagePlacement.DoesNotFit(file, memory);
            Span<byte> entry = list.AsSpan(i * ModuleLength);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, address);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], file.Length);
            if (modules[i].CommandLine is { } text)
                BinaryPrimitives.WriteUInt64LittleEndian(entry[16..], low.Put(BootText.Encode("module command line", text, CommandLineLimit)));
            first = i == 0 ? new(address, address + file.Length) : first;
            top = address;
        }

        return (low.Put(list), modules.Count, first);
    }
}
