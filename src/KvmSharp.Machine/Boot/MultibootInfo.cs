using System.Buffers.Binary;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>The Multiboot information structure and what it points to, below 1 MiB and off page 0 (§3.3).</summary>
internal sealed class MultibootInfo(GuestMemory memory, LowMemory low)
{
    private const int InfoLength = 116, ModuleLength = 16, RangeLength = 24;
    private const int TextLimit = 0x8000;
    private const uint HasMemory = 1, HasCommandLine = 4, HasModules = 8, HasMap = 0x40, HasLoaderName = 0x200;

    private ulong _modules;
    private uint _moduleCount;

    /// <summary>Loads modules one after the other, page aligned, right above the kernel, where small kernels expect them.</summary>
    internal LoadedRange LoadModules(IReadOnlyList<BootModule> modules, BootFiles? files, ulong kernelEnd)
    {
        byte[] list = new byte[modules.Count * ModuleLength];
        ulong next = Math.Max(kernelEnd, BootLayout.OneMiB);
        LoadedRange first = default;
        for (int i = 0; i < modules.Count; i++)
        {
            using BootFile file = BootFile.Open("module", modules[i].Path, files);
            next = BootLayout.AlignUp(next, GuestMemory.PageSize);
            if (!file.TryReadToGuest(memory, next, 0, file.Length) || next >= memory.Regions[0].End)
                throw ImagePlacement.DoesNotFit(file, memory);
            Span<byte> entry = list.AsSpan(i * ModuleLength);
            BinaryPrimitives.WriteUInt32LittleEndian(entry, (uint)next);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], (uint)(next + file.Length));
            string text = modules[i].CommandLine ?? modules[i].Path;
            BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], (uint)low.Put(BootText.Encode("module command line", text, TextLimit)));
            first = i == 0 ? new(next, next + file.Length) : first;
            next += file.Length;
        }

        _moduleCount = (uint)modules.Count;
        _modules = modules.Count > 0 ? low.Put(list) : 0;
        return first;
    }

    /// <summary>Writes everything and returns the structure's address. The command line starts with the kernel's path, as GRUB's does.</summary>
    internal ulong Write(BootRequest request)
    {
        string text = request.CommandLine.Length == 0 ? request.KernelPath : $"{request.KernelPath} {request.CommandLine}";
        byte[] commandLine = BootText.Encode("kernel command line", text, TextLimit);
        byte[] map = Map(MemoryMap.Build(memory, request.ExtraRanges));
        Span<byte> info = stackalloc byte[InfoLength];
        info.Clear();
        uint modules = _moduleCount > 0 ? HasModules : 0;
        Put(info, 0, HasMemory | HasCommandLine | modules | HasMap | HasLoaderName);
        Put(info, 4, MachineLayout.EbdaStart >> 10); // mem_lower, KiB
        Put(info, 8, (memory.Regions[0].End - BootLayout.OneMiB) >> 10); // mem_upper, KiB
        Put(info, 16, low.Put(commandLine));
        Put(info, 20, _moduleCount);
        Put(info, 24, _modules);
        Put(info, 44, (uint)map.Length);
        Put(info, 48, low.Put(map));
        Put(info, 64, low.Put("KvmSharp\0"u8));
        return low.Put(info);
    }

    private static byte[] Map(IReadOnlyList<BootMemoryRange> map)
    {
        byte[] bytes = new byte[map.Count * RangeLength];
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> range = bytes.AsSpan(i * RangeLength);
            Put(range, 0, RangeLength - 4); // size, not counting itself
            BinaryPrimitives.WriteUInt64LittleEndian(range[4..], map[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(range[12..], map[i].Length);
            Put(range, 20, (uint)map[i].Type);
        }

        return bytes;
    }

    private static void Put(Span<byte> bytes, int offset, ulong value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes[offset..], (uint)value);
}
