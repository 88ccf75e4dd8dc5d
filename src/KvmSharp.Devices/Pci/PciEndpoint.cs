using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// A type 0 function that a device composes: header, capabilities, BARs, MSI-X and a pin. Build it, then hand it to
/// <see cref="PciRoot.Attach"/>; what is added later is not seen by the guest. Disposing it disposes its MSI-X vectors.
/// </summary>
public sealed class PciEndpoint : IPciFunction
{
    private const ushort MsixEnable = 1 << 15;
    private const ushort MsixFunctionMask = 1 << 14;

    private readonly List<PciBar> _bars = [];
    private readonly IPciConfigHook? _hook;
    private byte[]? _resetState;
    private int _msixOffset;
    private int _pin;

    /// <param name="hook">The device's own configuration registers, if any; may be set up in the same constructor that builds this.</param>
    /// <param name="express">4096 bytes of configuration space and a PCI Express capability, which is how guests find out.</param>
    public PciEndpoint(string name, PciIdentity identity, IPciConfigHook? hook = null, bool express = false)
    {
        Name = name;
        _hook = hook;
        Config = PciConfigSpace.CreateType0(identity, express ? PciConfigSpace.ExpressSize : PciConfigSpace.ConventionalSize);
        if (express)
            AddExpressCapability();
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public PciConfigSpace Config { get; }

    /// <inheritdoc/>
    public IReadOnlyList<PciBar> Bars => _bars;

    /// <summary>Null without MSI-X.</summary>
    public MsixTable? Msix { get; private set; }

    /// <summary>The interrupt pin; null without one, and until attached.</summary>
    public PciIntxPin? Intx { get; private set; }

    /// <summary>Where the function sits once attached.</summary>
    public Bdf Address { get; private set; }

    /// <summary>Adds a BAR. Throws <see cref="ArgumentException"/> if its registers are taken.</summary>
    public PciBar AddBar(PciBar bar)
    {
        foreach (PciBar other in _bars)
        {
            if (bar.Index <= other.Index + (other.Is64 ? 1 : 0) && other.Index <= bar.Index + (bar.Is64 ? 1 : 0))
                throw new ArgumentException($"{Name}: BAR {bar.Index} is taken", nameof(bar));
        }

        bar.Describe(Config);
        _bars.Add(bar);
        return bar;
    }

    /// <summary>Finds a BAR by its register number; null if there is none.</summary>
    public PciBar? FindBar(int index)
    {
        foreach (PciBar bar in _bars)
        {
            if (bar.Index == index)
                return bar;
        }

        return null;
    }

    /// <summary>
    /// Adds the MSI-X capability for a table that the caller has placed in a BAR (see <see cref="PciBarRegions"/>).
    /// </summary>
    /// <param name="tableOffset">Of <see cref="MsixTable.Table"/> in its BAR; a multiple of eight.</param>
    /// <param name="pendingOffset">Of <see cref="MsixTable.PendingBits"/> in the same BAR; a multiple of eight.</param>
    public void AddMsix(MsixTable table, int barIndex, uint tableOffset, uint pendingOffset)
    {
        if (Msix is not null)
            throw new InvalidOperationException($"{Name} has MSI-X already");
        ArgumentOutOfRangeException.ThrowIfNotEqual(tableOffset % 8, 0u, nameof(tableOffset));
        ArgumentOutOfRangeException.ThrowIfNotEqual(pendingOffset % 8, 0u, nameof(pendingOffset));
        _msixOffset = Config.AddCapability(PciRegisters.CapabilityMsix, 12);
        Config.Set16(_msixOffset + 2, (ushort)(table.VectorCount - 1));
        Config.SetWritable16(_msixOffset + 2, MsixEnable | MsixFunctionMask);
        Config.Set32(_msixOffset + 4, tableOffset | (uint)barIndex);
        Config.Set32(_msixOffset + 8, pendingOffset | (uint)barIndex);
        Msix = table;
    }

    /// <summary>Gives the function an interrupt pin, 1 (INTA#) to 4.</summary>
    public void AddIntx(int pin = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pin, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pin, 4);
        _pin = pin;
        Config.Set8(PciRegisters.InterruptPin, (byte)pin);
    }

    /// <inheritdoc/>
    public void OnAttached(Bdf address, PciInterruptRouter interrupts)
    {
        Address = address;
        if (_pin == 0)
            return;
        Intx = interrupts.Connect(address, _pin);
        // What firmware would leave there for systems without ACPI routing.
        Config.Set8(PciRegisters.InterruptLine, (byte)Intx.Gsi);
    }

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        _hook?.BeforeRead(offset, data.Length);
        if (Intx is not null && offset <= PciRegisters.Status && offset + data.Length > PciRegisters.Status)
        {
            int status = Config.Get8(PciRegisters.Status) & ~PciRegisters.StatusInterrupt;
            Config.Set8(PciRegisters.Status, (byte)(status | (Intx.IsAsserted ? PciRegisters.StatusInterrupt : 0)));
        }

        Config.Read(offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // The first guest write, or the root's own before boot, fixes what a reset goes back to.
        _resetState ??= Config.Save();
        Config.Write(offset, data);
        ApplyControls();
        _hook?.AfterWrite(offset, data.Length);
    }

    /// <inheritdoc/>
    public void Reset()
    {
        if (_resetState is not null)
            Config.Load(_resetState);
        Msix?.Reset();
        Intx?.SetLevel(false);
        ApplyControls();
    }

    public void Dispose()
    {
        Intx?.SetLevel(false);
        Msix?.Dispose();
    }

    private void ApplyControls()
    {
        Intx?.SetDisabled((Config.Get16(PciRegisters.Command) & PciRegisters.CommandIntxDisable) != 0);
        if (Msix is null)
            return;
        ushort control = Config.Get16(_msixOffset + 2);
        Msix.SetControl((control & MsixEnable) != 0, (control & MsixFunctionMask) != 0);
    }

    // A root complex integrated endpoint (PCIe 3.0 §7.8): no link registers.
    private void AddExpressCapability()
    {
        int offset = Config.AddCapability(PciRegisters.CapabilityExpress, 0x3C);
        Config.Set16(offset + 2, 0x2 | (0x9 << 4));
        // Role-based error reporting is mandatory; device control: errors, relaxed ordering, payload sizes.
        Config.Set32(offset + 4, 1 << 15);
        Config.SetWritable16(offset + 8, 0x78FF);
        Config.SetWriteOneToClear(offset + 10, 0x0F);
    }
}
