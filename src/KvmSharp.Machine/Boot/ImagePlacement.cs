using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Where PVH and Multiboot images and their modules may lie.</summary>
internal static class ImagePlacement
{
    /// <summary>Refuses a range that is not RAM below 4 GiB or covers what firmware keeps (EBDA to 1 MiB).</summary>
    internal static void Check(GuestMemory memory, BootFile kernel, ulong address, ulong length)
    {
        ulong lowEnd = memory.Regions[0].End;
        if (length > lowEnd || address > lowEnd - length)
        {
            throw kernel.Error($"wants {length} bytes at 0x{address:x}, outside the guest's {memory.SizeBytes >> 20} MiB of memory; "
                + "give the guest more memory or link the kernel lower");
        }

        if (address < BootLayout.OneMiB && address + length > MachineLayout.EbdaStart)
            throw kernel.Error($"loads at 0x{address:x}, into the firmware area below 1 MiB; link the kernel at 1 MiB or above");
    }

    internal static bool Contains(IReadOnlyList<LoadedRange> loaded, ulong address)
    {
        foreach (LoadedRange range in loaded)
        {
            if (address >= range.Start && address < range.End)
                return true;
        }

        return false;
    }

    internal static ulong Start(IReadOnlyList<LoadedRange> loaded) => loaded.Min(r => r.Start);

    internal static ulong End(IReadOnlyList<LoadedRange> loaded) => loaded.Max(r => r.End);

    internal static BootException DoesNotFit(BootFile module, GuestMemory memory) => module.Error(
        $"is {module.Length} bytes and does not fit beside the kernel in {memory.SizeBytes >> 20} MiB of guest memory; give the guest more memory");

    /// <summary>The initrd, if any, and the modules behind it.</summary>
    internal static IReadOnlyList<BootModule> AllModules(BootRequest request) =>
        string.IsNullOrEmpty(request.InitrdPath) ? request.Modules : [new BootModule(request.InitrdPath), .. request.Modules];
}
