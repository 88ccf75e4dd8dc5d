using KvmSharp.Core.Buses;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// A memory BAR made of several parts, each a device with offsets of its own. Built before the BAR is mapped, then immutable.
/// Accesses to gaps, and across the end of a part, are refused.
/// </summary>
public sealed class PciBarRegions : IMmioDevice
{
    private Region[] _regions = [];

    /// <summary>Bytes from the start of the BAR to the end of its last part.</summary>
    public ulong Length => _regions.Length == 0 ? 0 : _regions[^1].Start + _regions[^1].Length;

    /// <summary>Adds a part. Throws <see cref="ArgumentException"/> if it is empty, wraps or overlaps another.</summary>
    public PciBarRegions Add(ulong offset, ulong length, IMmioDevice device)
    {
        if (length == 0 || length > ulong.MaxValue - offset)
            throw new ArgumentException("not a range", nameof(length));
        foreach (Region region in _regions)
        {
            if (offset < region.Start + region.Length && region.Start < offset + length)
                throw new ArgumentException($"part at 0x{offset:x} overlaps the one at 0x{region.Start:x}", nameof(offset));
        }

        Region[] regions = [.. _regions, new Region(offset, length, device)];
        Array.Sort(regions, static (a, b) => a.Start.CompareTo(b.Start));
        _regions = regions;
        return this;
    }

    /// <inheritdoc/>
    public BusStatus Read(ulong offset, Span<byte> data) =>
        Find(offset, (uint)data.Length) is { } region ? region.Device.Read(offset - region.Start, data) : BusStatus.NoRegister;

    /// <inheritdoc/>
    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) =>
        Find(offset, (uint)data.Length) is { } region ? region.Device.Write(offset - region.Start, data) : BusStatus.NoRegister;

    private Region? Find(ulong offset, uint length)
    {
        foreach (Region region in _regions)
        {
            if (offset >= region.Start && offset - region.Start < region.Length)
                return length <= region.Length - (offset - region.Start) ? region : null;
        }

        return null;
    }

    private sealed record Region(ulong Start, ulong Length, IMmioDevice Device);
}
