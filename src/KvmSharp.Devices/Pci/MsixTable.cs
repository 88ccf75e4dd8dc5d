using System.Buffers.Binary;
using KvmSharp.Core;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// MSI-X (PCI 3.0 §6.8.2): the table and the pending bit array as parts of a BAR, over one <see cref="IMsiVector"/> per entry.
/// A signal on a masked vector stays pending and is delivered when the vector, the function and MSI-X as a whole let it.
/// Thread-safe; the lock is innermost.
/// </summary>
public sealed class MsixTable : IDisposable
{
    public const int EntrySize = 16;
    public const int MaxVectors = 2048;

    private const int DataOffset = 8;
    private const int ControlOffset = 12;
    private const uint VectorMask = 1;

    private readonly IMsiVector[] _vectors;
    private readonly byte[] _entries;

    // What the fabric was told last, so that routes are updated only when they change.
    private readonly Route[] _routes;
    private readonly Lock _sync = new();
    private bool _enabled;
    private bool _functionMasked;

    /// <param name="vectorCount">1 to 2048.</param>
    public MsixTable(IInterruptFabric fabric, int vectorCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vectorCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vectorCount, MaxVectors);
        _vectors = new IMsiVector[vectorCount];
        _entries = new byte[vectorCount * EntrySize];
        _routes = new Route[vectorCount];
        for (int i = 0; i < vectorCount; i++)
        {
            _vectors[i] = fabric.AllocateMsi();
            _routes[i].Masked = true;
            _entries[(i * EntrySize) + ControlOffset] = (byte)VectorMask;
        }

        Table = new TableRegion(this);
        PendingBits = new PendingRegion(this);
    }

    public int VectorCount => _vectors.Length;

    /// <summary>Bytes of the table.</summary>
    public int TableLength => _entries.Length;

    /// <summary>Bytes of the pending bit array: whole quadwords.</summary>
    public int PendingLength => (VectorCount + 63) / 64 * 8;

    /// <summary>The table, to be placed in a BAR at a multiple of eight.</summary>
    public IMmioDevice Table { get; }

    /// <summary>The pending bit array, to be placed likewise.</summary>
    public IMmioDevice PendingBits { get; }

    /// <summary>MSI-X Enable: the function must use it instead of its pin. Any thread.</summary>
    public bool IsEnabled => Volatile.Read(ref _enabled);

    /// <summary><see cref="IsEnabled"/> is another than before. Raised on the thread that changed it, without the lock of this table.</summary>
    public event Action? EnabledChanged;

    /// <summary>Signals a vector; a number outside the table is ignored. Any thread, no allocation.</summary>
    public void Signal(int vector)
    {
        if ((uint)vector < (uint)_vectors.Length)
            _vectors[vector].Signal();
    }

    /// <summary>The eventfd behind a vector, for whoever signals it from outside (vhost, an I/O thread); null outside the table.</summary>
    public EventFd? GetTrigger(int vector) => (uint)vector < (uint)_vectors.Length ? _vectors[vector].Trigger : null;

    /// <summary>The message control register changed.</summary>
    internal void SetControl(bool enabled, bool functionMasked)
    {
        bool changed;
        lock (_sync)
        {
            if (enabled == _enabled && functionMasked == _functionMasked)
                return;
            changed = enabled != _enabled;
            Volatile.Write(ref _enabled, enabled);
            _functionMasked = functionMasked;
            for (int i = 0; i < _vectors.Length; i++)
                Apply(i);
        }

        if (changed)
            EnabledChanged?.Invoke();
    }

    internal void Reset()
    {
        lock (_sync)
        {
            Volatile.Write(ref _enabled, false);
            _functionMasked = false;
            _entries.AsSpan().Clear();
            for (int i = 0; i < _vectors.Length; i++)
            {
                _entries[(i * EntrySize) + ControlOffset] = (byte)VectorMask;
                Apply(i);
                // What was signalled before the reset must not fire after it.
                _vectors[i].Trigger.Drain();
            }
        }

        EnabledChanged?.Invoke();
    }

    public void Dispose()
    {
        foreach (IMsiVector vector in _vectors)
            vector.Dispose();
    }

    private void Apply(int index)
    {
        ReadOnlySpan<byte> entry = _entries.AsSpan(index * EntrySize, EntrySize);
        ref Route route = ref _routes[index];
        bool masked = !_enabled || _functionMasked || (BinaryPrimitives.ReadUInt32LittleEndian(entry[ControlOffset..]) & VectorMask) != 0;
        if (!masked)
        {
            // Message addresses are dword aligned (PCI 3.0 §6.8.2.5).
            ulong address = BinaryPrimitives.ReadUInt64LittleEndian(entry) & ~3UL;
            uint data = BinaryPrimitives.ReadUInt32LittleEndian(entry[DataOffset..]);
            if (!route.Set || route.Address != address || route.Data != data)
            {
                route.Set = true;
                route.Address = address;
                route.Data = data;
                _vectors[index].SetMessage(address, data);
            }
        }

        if (masked == route.Masked)
            return;
        route.Masked = masked;
        _vectors[index].SetMasked(masked);
    }

    private void ReadTable(ulong offset, Span<byte> data)
    {
        lock (_sync)
            _entries.AsSpan((int)offset, data.Length).CopyTo(data);
    }

    private void WriteTable(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_sync)
        {
            data.CopyTo(_entries.AsSpan((int)offset));
            int first = (int)offset / EntrySize;
            int last = ((int)offset + data.Length - 1) / EntrySize;
            for (int i = first; i <= last; i++)
            {
                // Only the mask bit of vector control exists.
                Span<byte> control = _entries.AsSpan((i * EntrySize) + ControlOffset, 4);
                control[0] &= (byte)VectorMask;
                control[1..].Clear();
                Apply(i);
            }
        }
    }

    private void ReadPending(ulong offset, Span<byte> data)
    {
        lock (_sync)
        {
            for (int i = 0; i < data.Length; i++)
            {
                int bits = 0;
                for (int bit = 0; bit < 8; bit++)
                {
                    int vector = (((int)offset + i) * 8) + bit;
                    if (vector < _vectors.Length && _vectors[vector].IsPending)
                        bits |= 1 << bit;
                }

                data[i] = (byte)bits;
            }
        }
    }

    private struct Route
    {
        internal bool Set;
        internal bool Masked;
        internal uint Data;
        internal ulong Address;
    }

    private sealed class TableRegion(MsixTable owner) : IMmioDevice
    {
        public BusStatus Read(ulong offset, Span<byte> data)
        {
            if (offset >= (ulong)owner.TableLength || (ulong)data.Length > (ulong)owner.TableLength - offset)
                return BusStatus.NoRegister;
            owner.ReadTable(offset, data);
            return BusStatus.Ok;
        }

        public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (offset >= (ulong)owner.TableLength || (ulong)data.Length > (ulong)owner.TableLength - offset)
                return BusStatus.NoRegister;
            // Whole, aligned dwords and quadwords only: the rest is undefined (PCI 3.0 §6.8.2) and would tear a message.
            if (data.Length is not (4 or 8))
                return BusStatus.BadSize;
            if (offset % 4 != 0)
                return BusStatus.Unaligned;
            owner.WriteTable(offset, data);
            return BusStatus.Ok;
        }
    }

    private sealed class PendingRegion(MsixTable owner) : IMmioDevice
    {
        public BusStatus Read(ulong offset, Span<byte> data)
        {
            if (offset >= (ulong)owner.PendingLength || (ulong)data.Length > (ulong)owner.PendingLength - offset)
                return BusStatus.NoRegister;
            owner.ReadPending(offset, data);
            return BusStatus.Ok;
        }

        public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => BusStatus.Ok;
    }
}
