using KvmSharp.Core.Buses;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Devices.Buses;

/// <summary>
/// Guest physical addresses that are not RAM. Same promises as <see cref="PioBus"/>: no allocation, logarithmic look-up, all ones
/// where nobody answers, ranges come and go while vCPUs run, and no access runs in a device once its registration is disposed.
/// </summary>
public sealed class MmioBus
{
    private readonly RangeTable<IMmioDevice> _table = new();
    private readonly UnclaimedLog _log;
    private readonly DeviceExitCounters? _counters;

    /// <param name="counters">Gives each device name its counter slot; null when nobody counts.</param>
    public MmioBus(DeviceExitCounters? counters = null, ILogger? logger = null)
    {
        _counters = counters;
        _log = new UnclaimedLog(logger ?? NullLogger.Instance, "mmio");
    }

    /// <summary>The claimed ranges in address order.</summary>
    public BusRange[] Ranges => _table.Snapshot();

    /// <summary>Claims addresses. Throws <see cref="ArgumentException"/> for an empty, wrapping or overlapping range. Dispose the result to release them.</summary>
    public IDisposable Register(ulong address, ulong length, IMmioDevice device, string name)
    {
        IDisposable? registration = TryRegister(address, length, device, name, out string? conflict);
        return registration ?? throw new ArgumentException(conflict is null
            ? $"{name}: 0x{length:x} bytes from 0x{address:x} are not an address range"
            : $"{name}: 0x{address:x}..0x{address + length - 1:x} overlaps {conflict}");
    }

    /// <summary>As <see cref="Register"/>, for ranges the guest chose; see <see cref="PioBus.TryRegister"/>.</summary>
    public IDisposable? TryRegister(ulong address, ulong length, IMmioDevice device, string name, out string? conflict) =>
        TryRegister(address, length, device, name, (device as ISharedAccessLock)?.AccessLock ?? new Lock(), out conflict);

    /// <summary>As the public one, under a lock of the caller's that also serialises accesses which do not come through the bus.</summary>
    internal IDisposable? TryRegister(ulong address, ulong length, IMmioDevice device, string name, Lock accessLock, out string? conflict)
    {
        conflict = null;
        if (length == 0 || length - 1 > ulong.MaxValue - address)
            return null;
        var entry = new RangeEntry<IMmioDevice>(address, address + length - 1, device, name, _counters?.SlotFor(name) ?? 0, accessLock);
        conflict = _table.TryAdd(entry);
        return conflict is null ? new BusRegistration<IMmioDevice>(_table, entry) : null;
    }

    /// <summary>A guest load of 1 to 8 bytes; fills all of <paramref name="data"/>. An access that leaves its range is split into bytes.</summary>
    /// <returns>The counter slot of the device, <see cref="DeviceExitCounters.UnclaimedSlot"/> if there was none.</returns>
    public int Read(ulong address, Span<byte> data)
    {
        RangeEntry<IMmioDevice>? entry = _table.Find(address);
        if (data.Length > 1 && (entry is null || entry.Last - address < (uint)data.Length - 1))
            return ReadByBytes(address, data);
        if (entry is not null)
        {
            BusStatus status;
            lock (entry.AccessLock)
            {
                if (entry.Removed)
                    goto Unclaimed;
                status = entry.Device.Read(address - entry.Start, data);
            }

            if (status != BusStatus.Ok)
            {
                data.Fill(0xFF);
                _log.Refused(entry.Name, "read", address, data.Length, status);
            }

            return entry.CounterSlot;
        }

    Unclaimed:
        data.Fill(0xFF);
        _log.Unclaimed("read", address, data.Length);
        return DeviceExitCounters.UnclaimedSlot;
    }

    /// <summary>A guest store of 1 to 8 bytes. Returns as <see cref="Read"/>.</summary>
    public int Write(ulong address, ReadOnlySpan<byte> data)
    {
        RangeEntry<IMmioDevice>? entry = _table.Find(address);
        if (data.Length > 1 && (entry is null || entry.Last - address < (uint)data.Length - 1))
            return WriteByBytes(address, data);
        if (entry is not null)
        {
            BusStatus status;
            lock (entry.AccessLock)
            {
                if (entry.Removed)
                    goto Unclaimed;
                status = entry.Device.Write(address - entry.Start, data);
            }

            if (status != BusStatus.Ok)
                _log.Refused(entry.Name, "write", address, data.Length, status);
            return entry.CounterSlot;
        }

    Unclaimed:
        _log.Unclaimed("write", address, data.Length);
        return DeviceExitCounters.UnclaimedSlot;
    }

    private int ReadByBytes(ulong address, Span<byte> data)
    {
        int slot = DeviceExitCounters.UnclaimedSlot;
        for (int i = 0; i < data.Length; i++)
        {
            int byteSlot = Read(unchecked(address + (uint)i), data.Slice(i, 1));
            if (slot == DeviceExitCounters.UnclaimedSlot)
                slot = byteSlot;
        }

        return slot;
    }

    private int WriteByBytes(ulong address, ReadOnlySpan<byte> data)
    {
        int slot = DeviceExitCounters.UnclaimedSlot;
        for (int i = 0; i < data.Length; i++)
        {
            int byteSlot = Write(unchecked(address + (uint)i), data.Slice(i, 1));
            if (slot == DeviceExitCounters.UnclaimedSlot)
                slot = byteSlot;
        }

        return slot;
    }
}
