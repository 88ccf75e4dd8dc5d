using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// A PCI segment without bridges: configuration mechanism 1 and ECAM over one table of functions, BAR assignment and live
/// mapping, interrupt routing. Functions may be attached and detached while vCPUs run.
/// </summary>
/// <remarks>
/// One lock, shared by all configuration accesses. Order: this lock, then a BAR's access lock, then leaf locks (MSI-X, pins, bus
/// tables). So BAR accesses never configure.
/// </remarks>
public sealed class PciRoot : IDisposable
{
    /// <summary>Bytes of ECAM per bus.</summary>
    public const ulong EcamBytesPerBus = 1 << 20;

    private const int BusCount = 256;
    private const int SlotsPerBus = Bdf.DevicesPerBus * Bdf.FunctionsPerDevice;

    // wiring
    private readonly PioBus _pio;
    private readonly MmioBus _mmio;
    private readonly ILogger _logger;
    private readonly PciBarAllocator _allocator;

    // Indexed by bus, then device and function; a bus without functions is null.
    private readonly IPciFunction?[]?[] _functions = new IPciFunction?[]?[BusCount];
    private readonly List<IPciFunction> _attached = [];

    /// <param name="interrupts">The four lines that the functions' pins share.</param>
    /// <param name="resetControl">Answers byte accesses at port 0xCF9, which lies inside the address register.</param>
    public PciRoot(PioBus pio, MmioBus mmio, PciWindows windows, PciInterruptRouter interrupts, ResetControl? resetControl = null, ILogger? logger = null)
    {
        _pio = pio;
        _mmio = mmio;
        _logger = logger ?? NullLogger.Instance;
        _allocator = new PciBarAllocator(windows);
        Interrupts = interrupts;
        ConfigPorts = new PciConfigPorts(this, resetControl);
        Ecam = new PciEcam(this);
    }

    /// <summary>Ports 0xCF8-0xCFF; register all <see cref="PciConfigPorts.PortCount"/> of them.</summary>
    public PciConfigPorts ConfigPorts { get; }

    /// <summary>The memory-mapped configuration space; register <see cref="EcamBytesPerBus"/> per bus.</summary>
    public IMmioDevice Ecam { get; }

    public PciInterruptRouter Interrupts { get; }

    internal Lock AccessLock { get; } = new();

    /// <summary>What sits where, for diagnostics.</summary>
    public IReadOnlyList<(Bdf Address, string Name)> Functions
    {
        get
        {
            lock (AccessLock)
            {
                var result = new List<(Bdf, string)>();
                for (int bus = 0; bus < BusCount; bus++)
                {
                    for (int slot = 0; _functions[bus] is { } slots && slot < SlotsPerBus; slot++)
                    {
                        if (slots[slot] is { } function)
                            result.Add((new Bdf(bus, slot >> 3, slot & 7), function.Name));
                    }
                }

                return result;
            }
        }
    }

    /// <summary>
    /// Puts a function on the bus, assigns its BARs from the windows and enables their decoding, as firmware would. The function
    /// stays owned by the caller. Throws <see cref="ArgumentException"/> if the place is taken, <see cref="InvalidOperationException"/>
    /// if a window is full.
    /// </summary>
    public void Attach(Bdf address, IPciFunction function)
    {
        lock (AccessLock)
        {
            IPciFunction?[] slots = _functions[address.Bus] ??= new IPciFunction?[SlotsPerBus];
            int slot = address.Value & 0xFF;
            if (slots[slot] is { } other)
                throw new ArgumentException($"{function.Name}: {address} is taken by {other.Name}", nameof(address));
            ushort decode = _allocator.Assign(function, Occupied(_mmio.Ranges), Occupied(_pio.Ranges));
            function.OnAttached(address, Interrupts);
            function.Config.Set16(PciRegisters.Command, (ushort)(function.Config.Get16(PciRegisters.Command) | decode));
            slots[slot] = function;
            _attached.Add(function);
            UpdateBars(function);
        }
    }

    /// <summary>Puts a function into the first free device number of bus 0 (from 1 on) and returns its address.</summary>
    public Bdf Attach(IPciFunction function)
    {
        lock (AccessLock)
        {
            for (int device = 1; device < Bdf.DevicesPerBus; device++)
            {
                if (!IsDeviceFree(device))
                    continue;
                var address = new Bdf(0, device);
                Attach(address, function);
                return address;
            }
        }

        throw new InvalidOperationException($"{function.Name}: no free device number on bus 0");
    }

    /// <summary>
    /// Takes a function off the bus. When it returns, no vCPU is in its BARs or its configuration space and none will be, so it may
    /// be disposed. Unknown functions are ignored.
    /// </summary>
    public void Detach(IPciFunction function)
    {
        lock (AccessLock)
        {
            foreach (IPciFunction?[]? slots in _functions)
            {
                int slot = slots is null ? -1 : Array.IndexOf(slots, function);
                if (slot >= 0)
                    slots![slot] = null;
            }

            if (!_attached.Remove(function))
                return;
            foreach (PciBar bar in function.Bars)
                bar.Unmap(notify: true);
            _allocator.Release(function);
            RetryBlocked();
        }
    }

    /// <summary>Machine reset: every function back to what the guest was started with. vCPUs are stopped.</summary>
    public void Reset()
    {
        lock (AccessLock)
        {
            ConfigPorts.Reset();
            foreach (IPciFunction function in _attached)
            {
                foreach (PciBar bar in function.Bars)
                    bar.Unmap(notify: true);
                function.Reset();
            }

            foreach (IPciFunction function in _attached)
                UpdateBars(function);
        }
    }

    /// <summary>Unmaps everything. The functions stay the caller's.</summary>
    public void Dispose()
    {
        lock (AccessLock)
        {
            foreach (IPciFunction function in _attached)
            {
                foreach (PciBar bar in function.Bars)
                    bar.Unmap(notify: true);
            }

            _attached.Clear();
            Array.Clear(_functions);
        }
    }

    /// <summary>A configuration read under <see cref="AccessLock"/>; absent functions read all ones.</summary>
    internal void ReadConfig(int bus, int slot, int register, Span<byte> data)
    {
        if (_functions[bus]?[slot] is not { } function)
        {
            data.Fill(0xFF);
            return;
        }

        function.ReadConfig(register, data);
        if ((slot & 7) == 0 && register <= PciRegisters.HeaderType && register + data.Length > PciRegisters.HeaderType && IsMultiFunction(bus, slot))
            data[PciRegisters.HeaderType - register] |= PciRegisters.HeaderMultiFunction;
    }

    /// <summary>A configuration write under <see cref="AccessLock"/>.</summary>
    internal void WriteConfig(int bus, int slot, int register, ReadOnlySpan<byte> data)
    {
        if (_functions[bus]?[slot] is not { } function)
            return;
        function.WriteConfig(register, data);
        // Only the command register and the BARs can change what is decoded.
        if (register < PciRegisters.Bar0 + (4 * PciRegisters.BarCount) && register + data.Length > PciRegisters.Command)
            UpdateBars(function);
    }

    private static List<(ulong Start, ulong Last)> Occupied(BusRange[] ranges)
    {
        var occupied = new List<(ulong, ulong)>(ranges.Length);
        foreach (BusRange range in ranges)
            occupied.Add((range.Start, range.Last));
        return occupied;
    }

    private bool IsDeviceFree(int device) => !AnyFunction(_functions[0], device * Bdf.FunctionsPerDevice, Bdf.FunctionsPerDevice);

    private bool IsMultiFunction(int bus, int slot) => AnyFunction(_functions[bus], slot + 1, Bdf.FunctionsPerDevice - 1);

    private static bool AnyFunction(IPciFunction?[]? slots, int first, int count)
    {
        for (int i = 0; slots is not null && i < count; i++)
        {
            if (slots[first + i] is not null)
                return true;
        }

        return false;
    }

    private void UpdateBars(IPciFunction function)
    {
        bool freed = false;
        bool blocked = false;
        foreach (PciBar bar in function.Bars)
        {
            bool wasBlocked = bar.IsBlocked;
            freed |= bar.Update(function.Config, function.Name, _pio, _mmio);
            blocked |= bar.IsBlocked && !wasBlocked;
        }

        if (blocked && _logger.IsEnabled(LogLevel.Debug))
            _logger.LogDebug("{Function}: the guest put a BAR on addresses that are in use; it is not decoded", function.Name);
        if (freed)
            RetryBlocked();
    }

    // Addresses became free: a BAR that was moved before its new place was vacated can now be decoded.
    private void RetryBlocked()
    {
        foreach (IPciFunction function in _attached)
        {
            foreach (PciBar bar in function.Bars)
            {
                if (bar.IsBlocked)
                    bar.Update(function.Config, function.Name, _pio, _mmio);
            }
        }
    }
}
