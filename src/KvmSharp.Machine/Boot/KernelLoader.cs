using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Puts a kernel, its modules and its boot data into guest RAM, which is all zero, and what a kernel wants clear stays so. Runs before any vCPU,
/// on a thread of its own beside the one that builds or resets the machine. Files are hostile input: anything wrong with them is a <see cref="BootException"/>
/// of one line.
/// </summary>
public static class KernelLoader
{
    /// <summary>Loads and returns the entry state of the first vCPU.</summary>
    public static BootEntry Load(GuestMemory memory, BootRequest request)
    {
        using BootFile kernel = BootFile.Open("kernel", request.KernelPath, request.Files);
        if (memory.Regions[0].End <= BootLayout.OneMiB)
            throw new BootException("guest memory ends below 1 MiB, where kernels load; give the guest more memory");
        Span<byte> buffer = stackalloc byte[MultibootHeader.SearchLength]; // the other formats are recognised by less
        ReadOnlySpan<byte> head = kernel.ReadHead(buffer);
        return request.Protocol switch
        {
            BootProtocol.Linux => LoadLinux(memory, request, kernel, head),
            BootProtocol.Pvh => LoadPvh(memory, request, kernel, head),
            BootProtocol.Multiboot => LoadMultiboot(memory, request, kernel, head),
            _ => LoadAny(memory, request, kernel, head),
        };
    }

    private static BootEntry LoadAny(GuestMemory memory, BootRequest request, BootFile kernel, ReadOnlySpan<byte> head)
    {
        if (LinuxSetupHeader.Matches(head))
            return LinuxLoader.Load(memory, request, kernel, head);
        ElfImage? elf = ElfImage.Matches(head) ? ElfImage.Read(kernel, head) : null;
        if (elf is not null && ElfNotes.FindPhys32Entry(kernel, elf) is { } entry)
            return PvhLoader.Load(memory, request, kernel, elf, entry);
        if (MultibootHeader.Find(kernel, head) is { } header)
            return MultibootLoader.Load(memory, request, kernel, header, elf);
        throw elf is null
            ? KernelDiagnosis.Explain(kernel, head)
            : kernel.Error("is an ELF file without a PVH entry note or Multiboot header; build Linux with CONFIG_PVH=y or give the bzImage");
    }

    private static BootEntry LoadLinux(GuestMemory memory, BootRequest request, BootFile kernel, ReadOnlySpan<byte> head)
    {
        if (LinuxSetupHeader.Matches(head))
            return LinuxLoader.Load(memory, request, kernel, head);
        throw ElfImage.Matches(head)
            ? kernel.Error("is an ELF file, not a bzImage; use the PVH or Multiboot protocol")
            : KernelDiagnosis.Explain(kernel, head);
    }

    private static BootEntry LoadPvh(GuestMemory memory, BootRequest request, BootFile kernel, ReadOnlySpan<byte> head)
    {
        if (!ElfImage.Matches(head))
        {
            throw LinuxSetupHeader.Matches(head)
                ? kernel.Error("is a bzImage, not an ELF file; use the Linux protocol or give the vmlinux inside it")
                : KernelDiagnosis.Explain(kernel, head);
        }

        ElfImage elf = ElfImage.Read(kernel, head);
        ulong entry = ElfNotes.FindPhys32Entry(kernel, elf)
            ?? throw kernel.Error("has no PVH entry note; build Linux with CONFIG_PVH=y or give the bzImage");
        return PvhLoader.Load(memory, request, kernel, elf, entry);
    }

    private static BootEntry LoadMultiboot(GuestMemory memory, BootRequest request, BootFile kernel, ReadOnlySpan<byte> head)
    {
        ElfImage? elf = ElfImage.Matches(head) ? ElfImage.Read(kernel, head) : null;
        MultibootHeader header = MultibootHeader.Find(kernel, head)
            ?? throw kernel.Error("has no Multiboot header in its first 8 KiB; use another protocol or another kernel");
        return MultibootLoader.Load(memory, request, kernel, header, elf);
    }
}
