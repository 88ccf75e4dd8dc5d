using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>
/// Guest RAM: one memfd (private memory if it is to be merged), mapped once, seen by the guest below <see cref="LowLimit"/> and, what does not fit there, from
/// 4 GiB up. Every access is checked against the region table; nothing else in the program holds a pointer it did not get here.
/// Safe on any thread. Dispose only after every vCPU and device that uses it has stopped.
/// </summary>
public sealed unsafe class GuestMemory : IDisposable
{
    /// <summary>RAM below 4 GiB ends here at the latest; the gap up to 4 GiB holds PCI, ECAM, the APICs and firmware space.</summary>
    public const ulong LowLimit = 0xC000_0000;

    /// <summary>Where RAM goes on above the gap.</summary>
    public const ulong HighStart = 0x1_0000_0000;

    public const ulong PageSize = 4096;

    private readonly GuestMemoryRegion[] _regions;
    private readonly MappedRegion? _mapping;

    private readonly FileDescriptor? _file;

    private GuestMemory(FileDescriptor? file, MappedRegion? mapping, ulong sizeBytes, GuestMemoryRegion[] regions, bool hasHugePages = false)
    {
        _file = file;
        HasHugePages = hasHugePages;
        _mapping = mapping;
        SizeBytes = sizeBytes;
        _regions = regions;
    }

    /// <summary>False for mergeable memory and for a peer's: we have no file of it that another process could map, for vhost-user or VFIO.</summary>
    public bool IsShared => _file is not null;

    /// <summary>Its file is made of huge pages, as far as the host has any: filled faster through the mapping than through the file.</summary>
    public bool HasHugePages { get; }

    /// <summary>The memfd behind all regions. Only if <see cref="IsShared"/>.</summary>
    public FileDescriptor File => _file ?? throw new InvalidOperationException("this guest memory has no file");

    public ReadOnlySpan<GuestMemoryRegion> Regions => _regions;

    /// <summary>Guest RAM in bytes: the sum of the regions.</summary>
    public ulong SizeBytes { get; }

    /// <summary>
    /// Allocates guest RAM, all zero, sparse unless preallocated or locked; with huge pages the last one may reach beyond the RAM that the
    /// guest sees. Throws <see cref="ArgumentException"/> for a size that is zero or not whole pages and for options that exclude
    /// each other, <see cref="LinuxException"/> with advice for the user when the host refuses.
    /// </summary>
    public static GuestMemory Create(GuestMemoryOptions options)
    {
        ulong size = options.SizeBytes;
        ArgumentOutOfRangeException.ThrowIfZero(size, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNotEqual(size % PageSize, 0UL, nameof(options));
        if (options is { HugePages: true, Mergeable: true })
            throw new ArgumentException("huge pages cannot be merged: choose one of the two", nameof(options));
        ulong backing = GuestMemoryHost.BackingSize(options);
        // Same-page merging works on private anonymous memory only.
        bool hasHugePages = false;
        FileDescriptor? file = options.Mergeable ? null : GuestMemoryHost.OpenFile(options, backing, out hasHugePages);
        MappedRegion? mapping = null;
        try
        {
            mapping = GuestMemoryHost.Map(options, file, backing);
            GuestMemoryHost.Apply(options, mapping);
            ulong low = Math.Min(size, LowLimit);
            nint host = (nint)mapping.Pointer;
            GuestMemoryRegion[] regions = size > low
                ? [new(new(0), low, host, 0), new(new(HighStart), size - low, host + (nint)low, low)]
                : [new(new(0), low, host, 0)];
            return new GuestMemory(file, mapping, size, regions, hasHugePages);
        }
        catch
        {
            mapping?.Dispose();
            file?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// RAM of a guest that another program runs, which shares it with us. Whoever mapped the regions keeps the mappings, beyond the life of everything
    /// that uses this; disposing of it does nothing.
    /// </summary>
    public static GuestMemory OfPeer(GuestMemoryRegion[] regions)
    {
        ulong size = 0;
        foreach (ref readonly GuestMemoryRegion region in regions.AsSpan())
            size += region.SizeBytes;
        return new GuestMemory(null, null, size, regions);
    }

    /// <summary>The host address of a range that lies wholly inside one region; false otherwise, and for an empty range outside RAM.</summary>
    public bool TryGetPointer(GuestAddress address, ulong length, out byte* host)
    {
        foreach (ref readonly GuestMemoryRegion region in _regions.AsSpan())
        {
            ulong offset = address.Value - region.Start.Value;
            if (offset < region.SizeBytes && length <= region.SizeBytes - offset)
            {
                host = region.Pointer + offset;
                return true;
            }
        }

        host = null;
        return false;
    }

    /// <summary>A span over guest RAM for bulk copies. The guest may change it at any moment: copy, then validate the copy.</summary>
    public bool TryGetSpan(GuestAddress address, int length, out Span<byte> span)
    {
        if (length >= 0 && TryGetPointer(address, (ulong)length, out byte* host))
        {
            // SAFETY: the region check above covers all of length.
            span = new Span<byte>(host, length);
            return true;
        }

        span = default;
        return false;
    }

    /// <summary>One copy out of guest RAM; validate <paramref name="value"/>, never read again.</summary>
    public bool TryRead<T>(GuestAddress address, out T value)
        where T : unmanaged
    {
        if (TryGetPointer(address, (ulong)sizeof(T), out byte* host))
        {
            value = Unsafe.ReadUnaligned<T>(host);
            return true;
        }

        value = default;
        return false;
    }

    public bool TryWrite<T>(GuestAddress address, in T value)
        where T : unmanaged
    {
        if (!TryGetPointer(address, (ulong)sizeof(T), out byte* host))
            return false;
        Unsafe.WriteUnaligned(host, value);
        return true;
    }

    public bool TryRead(GuestAddress address, Span<byte> into)
    {
        if (!TryGetSpan(address, into.Length, out Span<byte> span))
            return false;
        span.CopyTo(into);
        return true;
    }

    public bool TryWrite(GuestAddress address, ReadOnlySpan<byte> from)
    {
        if (!TryGetSpan(address, from.Length, out Span<byte> span))
            return false;
        from.CopyTo(span);
        return true;
    }

    public void Dispose()
    {
        _mapping?.Dispose();
        _file?.Dispose();
    }
}
