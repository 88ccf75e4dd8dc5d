using System.Numerics;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Devices.Pci;

/// <summary>One base address register and the device behind it. Mapped and unmapped under the PCI root's lock as the guest moves it.</summary>
public sealed class PciBar
{
    private const uint IoFlag = 0x1;
    private const uint Memory64Flag = 0x4;
    private const uint PrefetchableFlag = 0x8;

    private readonly IMmioDevice? _mmio;
    private readonly IPioDevice? _pio;
    private readonly Lock _accessLock;
    private IDisposable? _registration;

    /// <param name="index">Register number, 0 to 5; 0 to 4 for 64 bits.</param>
    /// <param name="size">A power of two, at least 16 bytes.</param>
    /// <param name="device">Offsets are relative to the BAR. Its accesses never overlap, whichever way they come. It must not call
    /// into the PCI root from an access: the root's lock is taken before the BAR's.</param>
    public PciBar(int index, PciBarKind kind, ulong size, IMmioDevice device)
        : this(index, kind, size)
    {
        if (kind == PciBarKind.Io)
            throw new ArgumentException("an I/O BAR needs a port device", nameof(kind));
        if (index + (Is64 ? 1 : 0) >= PciRegisters.BarCount)
            throw new ArgumentOutOfRangeException(nameof(index));
        if (!Is64 && size > 0x8000_0000)
            throw new ArgumentOutOfRangeException(nameof(size));
        _mmio = device;
        _accessLock = (device as ISharedAccessLock)?.AccessLock ?? new Lock();
    }

    /// <param name="size">A power of two, 16 to 256 ports.</param>
    public PciBar(int index, int size, IPioDevice device)
        : this(index, PciBarKind.Io, (ulong)size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, 256);
        _pio = device;
        _accessLock = (device as ISharedAccessLock)?.AccessLock ?? new Lock();
    }

    private PciBar(int index, PciBarKind kind, ulong size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)PciRegisters.BarCount, nameof(index));
        if (!BitOperations.IsPow2(size) || size < 16)
            throw new ArgumentOutOfRangeException(nameof(size), size, "a BAR is a power of two of at least 16 bytes");
        Index = index;
        Kind = kind;
        Size = size;
        _accessLock = null!;
    }

    public int Index { get; }

    public PciBarKind Kind { get; }

    /// <summary>Bytes, or ports.</summary>
    public ulong Size { get; }

    public bool Is64 => Kind is PciBarKind.Memory64 or PciBarKind.Memory64Prefetchable;

    /// <summary>Where the guest reaches the BAR now; null while it is not decoded. Any thread may read it; it may be out of date at once.</summary>
    public ulong? Address { get; private set; }

    /// <summary>Called after <see cref="Address"/> has changed, under the PCI root's lock: the place to move doorbells. Must not block.</summary>
    public Action<PciBar>? Moved { get; set; }

    /// <summary>True when the guest enabled the BAR on addresses that something else owns.</summary>
    internal bool IsBlocked { get; private set; }

    /// <summary>An access that does not come through the bus (a configuration window). Out of range: <see cref="BusStatus.NoRegister"/>.</summary>
    public BusStatus Read(ulong offset, Span<byte> data)
    {
        if (offset >= Size || (ulong)data.Length > Size - offset)
            return BusStatus.NoRegister;
        lock (_accessLock)
            return _mmio is not null ? _mmio.Read(offset, data) : _pio!.In((ushort)offset, data);
    }

    /// <inheritdoc cref="Read"/>
    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset >= Size || (ulong)data.Length > Size - offset)
            return BusStatus.NoRegister;
        lock (_accessLock)
            return _mmio is not null ? _mmio.Write(offset, data) : _pio!.Out((ushort)offset, data);
    }

    /// <summary>Prepares the registers: the type bits, and as many writable bits as the size leaves, which is how a guest sizes it.</summary>
    internal void Describe(PciConfigSpace config)
    {
        int register = PciRegisters.Bar0 + (4 * Index);
        uint mask = Kind == PciBarKind.Io ? (uint)~(Size - 1) & 0xFFFF : (uint)~(Size - 1);
        uint flags = Kind switch
        {
            PciBarKind.Io => IoFlag,
            PciBarKind.Memory32 => 0,
            PciBarKind.Memory64 => Memory64Flag,
            _ => Memory64Flag | PrefetchableFlag,
        };
        // The upper half of an I/O BAR is writable too: sizing must see ones all the way down (PCI 3.0 §6.2.5.1).
        config.SetWritable32(register, Kind == PciBarKind.Io ? mask | 0xFFFF_0000 : mask);
        config.Set32(register, flags);
        if (Is64)
            config.SetWritable32(register + 4, (uint)(~(Size - 1) >> 32));
    }

    internal void SetAddress(PciConfigSpace config, ulong address)
    {
        int register = PciRegisters.Bar0 + (4 * Index);
        uint flags = config.Get32(register) & (Kind == PciBarKind.Io ? 0x3u : 0xFu);
        config.Set32(register, (uint)address | flags);
        if (Is64)
            config.Set32(register + 4, (uint)(address >> 32));
    }

    /// <summary>Makes the mapping follow the registers. True if a mapping ended or could not be made, so that blocked BARs are worth another try.</summary>
    internal bool Update(PciConfigSpace config, string name, PioBus pio, MmioBus mmio)
    {
        ulong? wanted = Decode(config);
        if (wanted == Address && !IsBlocked)
            return false;
        bool freed = Address is not null;
        Unmap(notify: wanted is null);
        IsBlocked = false;
        if (wanted is not ulong address)
            return freed;
        _registration = Kind == PciBarKind.Io
            ? pio.TryRegister((ushort)address, (int)Size, _pio!, name, _accessLock, out _)
            : mmio.TryRegister(address, Size, _mmio!, name, _accessLock, out _);
        IsBlocked = _registration is null;
        Address = IsBlocked ? null : address;
        if (!IsBlocked || freed)
            Moved?.Invoke(this);
        return freed;
    }

    internal void Unmap(bool notify)
    {
        if (_registration is null)
            return;
        _registration.Dispose();
        _registration = null;
        Address = null;
        if (notify)
            Moved?.Invoke(this);
    }

    // Zero and all ones are what an unassigned and a BAR being sized contain: neither is decoded.
    private ulong? Decode(PciConfigSpace config)
    {
        ushort command = config.Get16(PciRegisters.Command);
        int register = PciRegisters.Bar0 + (4 * Index);
        uint low = config.Get32(register);
        if (Kind == PciBarKind.Io)
        {
            uint port = low & ~(uint)(Size - 1) & ~0x3u;
            return (command & PciRegisters.CommandIo) != 0 && port != 0 && port <= 0xFFFF ? port : null;
        }

        if ((command & PciRegisters.CommandMemory) == 0)
            return null;
        ulong mask = ~(Size - 1);
        if (!Is64)
        {
            ulong address = low & mask;
            return address != 0 && address != (mask & uint.MaxValue) ? address : null;
        }

        uint high = config.Get32(register + 4);
        ulong wide = (((ulong)high << 32) | low) & mask;
        bool sizing = wide == (mask & uint.MaxValue) || high == (uint)(mask >> 32);
        return wide != 0 && !sizing ? wide : null;
    }
}
