using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Puts a kernel, its modules and its boot data into guest RAM. Runs once, before any vCPU, on the thread that builds the
/// machine. Files are hostile input: anything wrong with them is a <see cref="BootException"/> of one line.
/// </summary>
public static class KernelLoader
{
    private const int HeadLength = 0x2000; // the Multiboot header lies in the first 8 KiB; the others need less

    /// <summary>Loads and returns the entry state of the first vCPU.</summary>
    public static BootEntry Load(GuestMemory memory, BootRequest request)
    {
        using BootFile kernel = BootFile.Open("kernel", request.KernelPath);
        if (memory.Regions[0].End <= BootLayout.OneMiB)
            throw new BootException("guest memory ends below 1 MiB, where kernels load; give the guest more memory");
        Span<byte> buffer = stackalloc byte[HeadLength];
        ReadOnlySpan<byte> head = kernel.ReadHead(buffer);
        if (!LinuxSetupHeader.Matches(head))
            throw kernel.Error("is not a kernel this program can boot; give an x86-64 bzImage");
        return LinuxLoader.Load(memory, request, kernel, head);
    }
}
