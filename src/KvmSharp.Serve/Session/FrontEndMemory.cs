using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Session;

/// <summary>
/// The guest memory that a front end shares, region by region. <see cref="View"/> is what devices use: it is made anew with every change, and no queue
/// may run while a region goes.
/// </summary>
/// <param name="lost">See <see cref="LentMapping"/>.</param>
internal sealed unsafe class FrontEndMemory(EventFd lost) : IDisposable
{
    /// <summary>Most regions, for GET_MAX_MEM_SLOTS.</summary>
    public const int MaxRegions = 64;

    private readonly List<Region> _regions = [];

    public GuestMemory View { get; private set; } = GuestMemory.OfPeer([]);

    public int Count => _regions.Count;

    /// <summary>Maps a region. Throws <see cref="ProtocolException"/> for one that cannot be, <see cref="LinuxException"/> if the host refuses.</summary>
    public void Add(in FrontEndRegion region, FileDescriptor file)
    {
        if (_regions.Count == MaxRegions)
            throw new ProtocolException($"more than {MaxRegions} memory regions");
        if (region.SizeBytes == 0 || !Fits(region.GuestAddress, region.SizeBytes) || !Fits(region.UserAddress, region.SizeBytes) || !Fits(region.FileOffset, region.SizeBytes))
            throw new ProtocolException($"a memory region of {region.SizeBytes} bytes at 0x{region.GuestAddress:x}");
        foreach (Region other in _regions)
        {
            if (Overlap(region.GuestAddress, other.Said.GuestAddress, region.SizeBytes, other.Said.SizeBytes) ||
                Overlap(region.UserAddress, other.Said.UserAddress, region.SizeBytes, other.Said.SizeBytes))
                throw new ProtocolException($"memory regions at 0x{region.GuestAddress:x} and 0x{other.Said.GuestAddress:x} overlap");
        }

        _regions.Add(new Region(region, Map(region, file, out nint host), host));
        Renew();
    }

    /// <summary>Unmaps the region at these addresses and of this size. False: there is none. No queue runs.</summary>
    public bool Remove(in FrontEndRegion region)
    {
        for (int i = 0; i < _regions.Count; i++)
        {
            FrontEndRegion said = _regions[i].Said;
            if (said.GuestAddress != region.GuestAddress || said.UserAddress != region.UserAddress || said.SizeBytes != region.SizeBytes)
                continue;
            LentMapping mapping = _regions[i].Mapping;
            _regions.RemoveAt(i);
            Renew();
            mapping.Dispose();
            return true;
        }

        return false;
    }

    /// <summary>From an address of the front end's process, in which it says where rings are, to the guest's.</summary>
    public bool TryToGuest(ulong userAddress, out GuestAddress address)
    {
        foreach (Region region in _regions)
        {
            ulong offset = userAddress - region.Said.UserAddress;
            if (offset < region.Said.SizeBytes)
            {
                address = new GuestAddress(region.Said.GuestAddress + offset);
                return true;
            }
        }

        address = default;
        return false;
    }

    /// <summary>No queue runs.</summary>
    public void Dispose()
    {
        View = GuestMemory.OfPeer([]);
        foreach (Region region in _regions)
            region.Mapping.Dispose();
        _regions.Clear();
    }

    private LentMapping Map(in FrontEndRegion region, FileDescriptor file, out nint host)
    {
        // Huge pages are mapped whole.
        ulong page = SharedFile.Check(file, region.FileOffset, region.SizeBytes);
        ulong before = region.FileOffset & (page - 1);
        ulong length = (before + region.SizeBytes + page - 1) & ~(page - 1);
        LentMapping mapping = new(file, length, region.FileOffset - before, lost);
        host = (nint)(mapping.Pointer + before);
        return mapping;
    }

    private static bool Fits(ulong start, ulong size) => start <= long.MaxValue && size <= long.MaxValue - start;

    private static bool Overlap(ulong one, ulong other, ulong oneSize, ulong otherSize) => one < other + otherSize && other < one + oneSize;

    private void Renew()
    {
        var regions = new GuestMemoryRegion[_regions.Count];
        for (int i = 0; i < regions.Length; i++)
        {
            FrontEndRegion said = _regions[i].Said;
            regions[i] = new GuestMemoryRegion(new GuestAddress(said.GuestAddress), said.SizeBytes, _regions[i].Host, said.FileOffset);
        }

        View = GuestMemory.OfPeer(regions);
    }

    private sealed record Region(FrontEndRegion Said, LentMapping Mapping, nint Host);
}
