using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>Turns <see cref="GuestMemoryOptions"/> into host calls: the memfd, its mapping and the advice on it.</summary>
internal static unsafe class GuestMemoryHost
{
    private const int NumaNodeLimit = 1024;

    /// <summary>The size of a transparent huge page on x86-64.</summary>
    private const ulong HugePageAlignment = 2UL << 20;

    /// <summary>Bytes to map for the RAM asked for: whole pages of the kind that backs it.</summary>
    internal static ulong BackingSize(GuestMemoryOptions options)
    {
        if (!options.HugePages)
            return options.SizeBytes;
        ulong page = HostMemoryInfo.HugePageSize;
        return checked((options.SizeBytes + page - 1) / page * page);
    }

    /// <summary>A file of the memory's own, or the one that it is given, empty and of this size.</summary>
    internal static FileDescriptor OpenFile(GuestMemoryOptions options, ulong size, out bool hasHugePages)
    {
        using GuestMemoryFile? own = options.File is null ? GuestMemoryFile.Create(options) : null;
        GuestMemoryFile file = options.File ?? own!;
        hasHugePages = file.HasHugePages;
        return file.Prepare(size);
    }

    internal static MappedRegion Map(GuestMemoryOptions options, FileDescriptor? file, ulong size)
    {
        try
        {
            if (!options.HugePages)
                return MappedRegion.MapAligned(file, size, HugePageAlignment);
            // Huge pages are reserved when they are mapped: without that, the guest would die of the first one that is missing.
            return MappedRegion.MapShared(file!, size, reserve: true);
        }
        catch (LinuxException error) when (options.HugePages)
        {
            ulong page = HostMemoryInfo.HugePageSize;
            string free = HostMemoryInfo.FreeHugePages is { } pages ? $"the host has {pages} free: " : "";
            throw new LinuxException($"reserve {size / page} huge pages of {HostMemoryInfo.Text(page)} for guest memory", error.Errno,
                $"{free}add some with 'sysctl vm.nr_hugepages=N', or run without huge pages");
        }
        catch (LinuxException error)
        {
            throw new LinuxException($"map {HostMemoryInfo.Text(size)} of guest memory", error.Errno, "give the guest less memory");
        }
    }

    internal static void Apply(GuestMemoryOptions options, MappedRegion mapping)
    {
        nuint length = (nuint)mapping.Length;
        // A core dump of the VMM is about the VMM. A refusal costs disk space only.
        _ = Libc.madvise(mapping.Pointer, length, LibcConstants.MADV_DONTDUMP);
        // Fewer and cheaper faults of the guest, where the host offers it; never an error.
        if (!options.HugePages && !options.Mergeable)
            _ = Libc.madvise(mapping.Pointer, length, LibcConstants.MADV_HUGEPAGE);
        if (options.NumaNode is { } node)
            Bind(mapping, node);
        if (options.Mergeable && Libc.madvise(mapping.Pointer, length, LibcConstants.MADV_MERGEABLE) != 0)
            throw LinuxException.FromLastError("madvise MADV_MERGEABLE on guest memory", "the host kernel has no KSM, run without merging");
        if (options.Lock || options.Preallocate)
            CheckAvailable(options, mapping.Length);
        if (options.Lock && Libc.mlock(mapping.Pointer, length) != 0)
            throw LockError(mapping.Length);
        if (options.Preallocate)
            Populate(mapping);
    }

    /// <summary>Before the pages are touched: they come from one node, or from none.</summary>
    private static void Bind(MappedRegion mapping, int node)
    {
        string operation = $"bind guest memory to NUMA node {node}";
        string advice = $"the host's nodes are {HostMemoryInfo.NumaNodes}";
        if (node is < 0 or >= NumaNodeLimit)
            throw new LinuxException(operation, LibcConstants.EINVAL, advice);
        ulong* mask = stackalloc ulong[NumaNodeLimit / 64];
        new Span<ulong>(mask, NumaNodeLimit / 64).Clear();
        // SAFETY: node < NumaNodeLimit.
        mask[node / 64] = 1UL << (node % 64);
        // The kernel takes maxnode as one more than the number of bits.
        nint result = Libc.syscall(LibcConstants.__NR_mbind, (nint)mapping.Pointer, (nint)mapping.Length, LibcConstants.MPOL_BIND, (nint)mask,
            NumaNodeLimit + 1, 0);
        if (result != 0)
            throw LinuxException.FromLastError(operation, advice);
    }

    /// <summary>Populating more than there is does not fail, it wakes the OOM killer: say no before.</summary>
    private static void CheckAvailable(GuestMemoryOptions options, ulong size)
    {
        if (options.HugePages || HostMemoryInfo.Available is not { } available)
            return;
        ulong obtainable = available + (options.Lock ? 0 : HostMemoryInfo.SwapFree ?? 0);
        if (size <= obtainable)
            return;
        throw new LinuxException($"{(options.Lock ? "lock" : "preallocate")} {HostMemoryInfo.Text(size)} of guest memory", LibcConstants.ENOMEM,
            $"the host has {HostMemoryInfo.Text(obtainable)} available: give the guest less memory, or run without {(options.Lock ? "locking" : "preallocation")}");
    }

    private static LinuxException LockError(ulong size)
    {
        int errno = Marshal.GetLastPInvokeError();
        ulong limit = HostMemoryInfo.LockedMemoryLimit;
        string advice = limit < size
            ? $"the limit of locked memory is {HostMemoryInfo.Text(limit)}: raise it with 'ulimit -l unlimited' as root, or run without locking"
            : "give the guest less memory, or run without locking";
        return new LinuxException($"lock {HostMemoryInfo.Text(size)} of guest memory", errno, advice);
    }

    private static void Populate(MappedRegion mapping)
    {
        int errno;
        do errno = Libc.madvise(mapping.Pointer, (nuint)mapping.Length, LibcConstants.MADV_POPULATE_WRITE) == 0 ? 0 : Marshal.GetLastPInvokeError();
        while (errno is LibcConstants.EINTR or LibcConstants.EAGAIN);
        if (errno == LibcConstants.EINVAL)
        {
            // Linux before 5.14 lacks the advice; nobody else uses the memory yet, so writing back what is there is harmless.
            for (byte* page = mapping.Pointer, end = page + mapping.Length; page < end; page += GuestMemory.PageSize)
                Volatile.Write(ref *page, Volatile.Read(ref *page));
        }
        else if (errno != 0)
        {
            throw new LinuxException($"preallocate {HostMemoryInfo.Text(mapping.Length)} of guest memory", errno,
                "give the guest less memory, or run without preallocation");
        }
    }
}
