namespace KvmSharp.Devices.Pci;

/// <summary>Where a PCI function sits: bus 0-255, device 0-31, function 0-7.</summary>
public readonly record struct Bdf
{
    public const int DevicesPerBus = 32;
    public const int FunctionsPerDevice = 8;

    /// <summary>Throws <see cref="ArgumentOutOfRangeException"/> for a number out of range.</summary>
    public Bdf(int bus, int device, int function = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bus, 255u, nameof(bus));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)device, 31u, nameof(device));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)function, 7u, nameof(function));
        Value = (ushort)((bus << 8) | (device << 3) | function);
    }

    /// <summary>The 16-bit requester id.</summary>
    public ushort Value { get; }

    public int Bus => Value >> 8;

    public int Device => (Value >> 3) & 0x1F;

    public int Function => Value & 7;

    public override string ToString() => $"{Bus:x2}:{Device:x2}.{Function}";
}
