using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>The guest's memory map: RAM around the PC's legacy hole, and what the firmware keeps for itself.</summary>
public static class MemoryMap
{
    /// <summary>boot_params holds this many e820 entries; also enough for the other protocols.</summary>
    public const int MaxEntries = 128;

    /// <summary>The sorted map. Throws <see cref="BootException"/> when the extra ranges overlap it or are too many.</summary>
    public static IReadOnlyList<BootMemoryRange> Build(GuestMemory memory, IReadOnlyList<BootMemoryRange> extras)
    {
        List<BootMemoryRange> map = [];
        foreach (ref readonly GuestMemoryRegion region in memory.Regions)
        {
            if (region.Start.Value != 0)
            {
                map.Add(new(region.Start.Value, region.SizeBytes, BootMemoryType.Ram));
                continue;
            }

            map.Add(new(0, Math.Min(region.End, MachineLayout.EbdaStart), BootMemoryType.Ram));
            if (region.End > BootLayout.OneMiB)
                map.Add(new(BootLayout.OneMiB, region.End - BootLayout.OneMiB, BootMemoryType.Ram));
        }

        AddReserved(map, MachineLayout.EbdaStart, BootLayout.OneMiB);
        AddReserved(map, MachineLayout.EcamStart, MachineLayout.EcamStart + ((ulong)MachineLayout.EcamBusCount << 20));
        // The identity-map page and the TSS pages behind it belong to KVM.
        AddReserved(map, MachineLayout.IdentityMapAddress, MachineLayout.TssAddress + (3 * GuestMemory.PageSize));
        map.AddRange(extras);
        if (map.Count > MaxEntries)
            throw new BootException($"the memory map has {map.Count} ranges; at most {MaxEntries} fit, use fewer memory ranges");
        map.Sort((a, b) => a.Start.CompareTo(b.Start));
        for (int i = 0; i < map.Count; i++)
        {
            if (map[i].Length == 0 || map[i].End < map[i].Start || (i > 0 && map[i - 1].End > map[i].Start))
                throw new BootException($"the memory range at 0x{map[i].Start:x} is empty, wraps or overlaps another; correct the memory ranges");
        }

        return map;
    }

    private static void AddReserved(List<BootMemoryRange> map, ulong start, ulong end) =>
        map.Add(new(start, end - start, BootMemoryType.Reserved));
}
