namespace KvmSharp.Devices.Buses;

/// <summary>How many I/O exits of all vCPUs went to one device.</summary>
/// <param name="Device">The name its ranges were registered under; "unclaimed" for accesses nobody answered.</param>
/// <param name="Reads">IN instructions and MMIO loads.</param>
/// <param name="Writes">OUT instructions and MMIO stores.</param>
public readonly record struct DeviceExitCount(string Device, long Reads, long Writes)
{
    public long Total => Reads + Writes;
}
