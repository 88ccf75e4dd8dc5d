using KvmSharp.Core.Tracing;

namespace KvmSharp.Devices.Buses;

/// <summary>
/// I/O exits by device and vCPU. Every vCPU counts in an array of its own, which only its thread writes: no lock, no shared cache
/// line. A snapshot may be taken on any thread at any time; it is exact for vCPUs that are paused.
/// </summary>
public sealed class DeviceExitCounters
{
    /// <summary>Counts accesses that no device claimed.</summary>
    public const int UnclaimedSlot = 0;

    // Two counters per slot; the margin keeps neighbouring arrays off the first and last cache line in use.
    private const int Margin = 8;
    private const int InitialSlots = 32;

    private readonly Lock _names = new();
    private readonly List<string> _slotNames = ["unclaimed"];
    private readonly long[][] _counts;

    // By slot; replaced whole.
    private TraceName[] _traceNames = [TraceName.Of("unclaimed")];

    public DeviceExitCounters(int vcpuCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vcpuCount);
        _counts = new long[vcpuCount][];
        for (int i = 0; i < vcpuCount; i++)
            _counts[i] = new long[Size(InitialSlots)];
    }

    public int VcpuCount => _counts.Length;

    /// <summary>All vCPUs' counts per device, in order of registration, devices without exits included.</summary>
    public DeviceExitCount[] Snapshot()
    {
        string[] names = Names();
        var result = new DeviceExitCount[names.Length];
        for (int slot = 0; slot < names.Length; slot++)
        {
            long reads = 0;
            long writes = 0;
            for (int vcpu = 0; vcpu < _counts.Length; vcpu++)
            {
                reads += ReadCount(vcpu, slot, 0);
                writes += ReadCount(vcpu, slot, 1);
            }

            result[slot] = new DeviceExitCount(names[slot], reads, writes);
        }

        return result;
    }

    /// <summary>One vCPU's counts per device.</summary>
    public DeviceExitCount[] Snapshot(int vcpuIndex)
    {
        string[] names = Names();
        var result = new DeviceExitCount[names.Length];
        for (int slot = 0; slot < names.Length; slot++)
            result[slot] = new DeviceExitCount(names[slot], ReadCount(vcpuIndex, slot, 0), ReadCount(vcpuIndex, slot, 1));
        return result;
    }

    /// <summary>The slot of a device name; ranges registered under one name share it. Any thread, at registration time.</summary>
    internal int SlotFor(string name)
    {
        lock (_names)
        {
            int slot = _slotNames.IndexOf(name);
            if (slot >= 0)
                return slot;
            _slotNames.Add(name);
            Volatile.Write(ref _traceNames, [.. _traceNames, TraceName.Of(name)]);
            return _slotNames.Count - 1;
        }
    }

    /// <summary>The device of a slot, for a trace. Any thread.</summary>
    internal TraceName TraceNameOf(int slot) => Volatile.Read(ref _traceNames)[slot];

    /// <summary>Only on the thread of vCPU <paramref name="vcpuIndex"/>.</summary>
    internal void CountRead(int vcpuIndex, int slot) => Add(vcpuIndex, slot, 0);

    /// <inheritdoc cref="CountRead"/>
    internal void CountWrite(int vcpuIndex, int slot) => Add(vcpuIndex, slot, 1);

    private static int Size(int slots) => (slots * 2) + (2 * Margin);

    private void Add(int vcpuIndex, int slot, int direction)
    {
        long[] counts = _counts[vcpuIndex];
        int index = Margin + (slot * 2) + direction;
        if (index >= counts.Length - Margin)
            counts = Grow(vcpuIndex, slot);
        // Single writer: a plain increment, published untorn for snapshots.
        Volatile.Write(ref counts[index], counts[index] + 1);
    }

    // Happens at most a few times per vCPU, when devices were added after start; done by the owner, so no count is lost.
    private long[] Grow(int vcpuIndex, int slot)
    {
        long[] old = _counts[vcpuIndex];
        var grown = new long[Size(Math.Max(slot + 1, InitialSlots) * 2)];
        old.AsSpan(0, old.Length - Margin).CopyTo(grown);
        Volatile.Write(ref _counts[vcpuIndex], grown);
        return grown;
    }

    private long ReadCount(int vcpuIndex, int slot, int direction)
    {
        long[] counts = Volatile.Read(ref _counts[vcpuIndex]);
        int index = Margin + (slot * 2) + direction;
        return index < counts.Length - Margin ? Volatile.Read(ref counts[index]) : 0;
    }

    private string[] Names()
    {
        lock (_names)
            return [.. _slotNames];
    }
}
