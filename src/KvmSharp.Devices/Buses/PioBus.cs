using KvmSharp.Core.Buses;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Devices.Buses;

/// <summary>
/// The 64 Ki I/O ports. Dispatch takes no lock but the range's own, allocates nothing and is logarithmic in the number of ranges.
/// Ports nobody claims read all ones and ignore writes. Safe on any thread; ranges may come and go while vCPUs run.
/// </summary>
/// <remarks>
/// When disposing a registration returns, no vCPU is inside the device through that range and none will enter it, so the device may
/// be disposed next. It waits for a running access, so the caller must not hold a lock that this access takes.
/// </remarks>
public sealed class PioBus
{
    private const ulong PortCount = 0x1_0000;

    private readonly RangeTable<IPioDevice> _table = new();
    private readonly UnclaimedLog _log;
    private readonly DeviceExitCounters? _counters;

    /// <param name="counters">Gives each device name its counter slot; null when nobody counts.</param>
    public PioBus(DeviceExitCounters? counters = null, ILogger? logger = null)
    {
        _counters = counters;
        _log = new UnclaimedLog(logger ?? NullLogger.Instance, "pio");
    }

    /// <summary>The claimed ranges in port order.</summary>
    public BusRange[] Ranges => _table.Snapshot();

    /// <summary>Claims ports. Throws <see cref="ArgumentException"/> for an empty, overlong or overlapping range. Dispose the result to release them.</summary>
    public IDisposable Register(ushort port, int length, IPioDevice device, string name)
    {
        IDisposable? registration = TryRegister(port, length, device, name, out string? conflict);
        return registration ?? throw new ArgumentException(conflict is null
            ? $"{name}: {length} ports from 0x{port:x} do not fit the port space"
            : $"{name}: ports 0x{port:x}..0x{port + length - 1:x} overlap {conflict}");
    }

    /// <summary>
    /// As <see cref="Register"/>, for ranges the guest chose: null if the range is not free, with the name of its owner, or if it is
    /// not a range of the port space (then without).
    /// </summary>
    public IDisposable? TryRegister(ushort port, int length, IPioDevice device, string name, out string? conflict) =>
        TryRegister(port, length, device, name, (device as ISharedAccessLock)?.AccessLock ?? new Lock(), out conflict);

    /// <summary>As the public one, under a lock of the caller's that also serialises accesses which do not come through the bus.</summary>
    internal IDisposable? TryRegister(ushort port, int length, IPioDevice device, string name, Lock accessLock, out string? conflict)
    {
        conflict = null;
        if (length <= 0 || port + (ulong)length > PortCount)
            return null;
        var entry = new RangeEntry<IPioDevice>(port, port + (ulong)length - 1, device, name, _counters?.SlotFor(name) ?? 0, accessLock);
        conflict = _table.TryAdd(entry);
        return conflict is null ? new BusRegistration<IPioDevice>(_table, entry) : null;
    }

    /// <summary>A guest IN of 1, 2 or 4 bytes; fills all of <paramref name="data"/>. An access that leaves its range is split into bytes.</summary>
    /// <returns>The counter slot of the device, <see cref="DeviceExitCounters.UnclaimedSlot"/> if there was none.</returns>
    public int In(ushort port, Span<byte> data)
    {
        RangeEntry<IPioDevice>? entry = _table.Find(port);
        if (data.Length > 1 && (entry is null || entry.Last - port < (uint)data.Length - 1))
            return InByBytes(port, data);
        if (entry is not null)
        {
            BusStatus status;
            lock (entry.AccessLock)
            {
                if (entry.Removed)
                    goto Unclaimed;
                status = entry.Device.In((ushort)(port - entry.Start), data);
            }

            if (status != BusStatus.Ok)
            {
                data.Fill(0xFF);
                _log.Refused(entry.Name, "in", port, data.Length, status);
            }

            return entry.CounterSlot;
        }

    Unclaimed:
        data.Fill(0xFF);
        _log.Unclaimed("in", port, data.Length);
        return DeviceExitCounters.UnclaimedSlot;
    }

    /// <summary>A guest OUT of 1, 2 or 4 bytes. Returns as <see cref="In"/>.</summary>
    public int Out(ushort port, ReadOnlySpan<byte> data)
    {
        RangeEntry<IPioDevice>? entry = _table.Find(port);
        if (data.Length > 1 && (entry is null || entry.Last - port < (uint)data.Length - 1))
            return OutByBytes(port, data);
        if (entry is not null)
        {
            BusStatus status;
            lock (entry.AccessLock)
            {
                if (entry.Removed)
                    goto Unclaimed;
                status = entry.Device.Out((ushort)(port - entry.Start), data);
            }

            if (status != BusStatus.Ok)
                _log.Refused(entry.Name, "out", port, data.Length, status);
            return entry.CounterSlot;
        }

    Unclaimed:
        _log.Unclaimed("out", port, data.Length);
        return DeviceExitCounters.UnclaimedSlot;
    }

    // As on ISA: what no single target takes whole becomes byte cycles. Ports wrap at 64 Ki.
    private int InByBytes(ushort port, Span<byte> data)
    {
        int slot = DeviceExitCounters.UnclaimedSlot;
        for (int i = 0; i < data.Length; i++)
        {
            int byteSlot = In((ushort)(port + i), data.Slice(i, 1));
            if (slot == DeviceExitCounters.UnclaimedSlot)
                slot = byteSlot;
        }

        return slot;
    }

    private int OutByBytes(ushort port, ReadOnlySpan<byte> data)
    {
        int slot = DeviceExitCounters.UnclaimedSlot;
        for (int i = 0; i < data.Length; i++)
        {
            int byteSlot = Out((ushort)(port + i), data.Slice(i, 1));
            if (slot == DeviceExitCounters.UnclaimedSlot)
                slot = byteSlot;
        }

        return slot;
    }
}
