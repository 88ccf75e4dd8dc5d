namespace KvmSharp.Devices.Pci;

/// <summary>The function at 00:00.0 that a guest expects of a host bridge. It has no registers of its own.</summary>
public static class PciHostBridge
{
    public static Bdf Address => new(0, 0);

    /// <summary>A host bridge that no chipset driver of a guest takes for real hardware.</summary>
    public static PciEndpoint Create() => new("pci-host", new PciIdentity
    {
        VendorId = 0x8086,
        DeviceId = 0x0D57,
        BaseClass = 0x06,
        Subclass = 0x00,
    });
}
