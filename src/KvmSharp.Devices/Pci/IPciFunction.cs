namespace KvmSharp.Devices.Pci;

/// <summary>
/// A function on the PCI bus. <see cref="PciEndpoint"/> is the one every emulated device uses; a passed-through device brings its
/// own. All members are called under the PCI root's lock.
/// </summary>
public interface IPciFunction : IDisposable
{
    /// <summary>Names the function in logs, exit counters and bus ranges.</summary>
    string Name { get; }

    /// <summary>The BARs, in any order.</summary>
    IReadOnlyList<PciBar> Bars { get; }

    /// <summary>The function's own registers: header, command bits and BARs as they stand.</summary>
    PciConfigSpace Config { get; }

    /// <summary>The function got its place on a bus.</summary>
    void OnAttached(Bdf address, PciInterruptRouter interrupts);

    /// <summary>A guest read of configuration space; any offset below 4096, 1 to 4 bytes within a register. Fills all of <paramref name="data"/>.</summary>
    void ReadConfig(int offset, Span<byte> data);

    /// <summary>A guest write. The root brings BAR mappings up to date afterwards.</summary>
    void WriteConfig(int offset, ReadOnlySpan<byte> data);

    /// <summary>Machine reset: registers as they were when the guest was first started, BAR assignment included. vCPUs are stopped.</summary>
    void Reset();
}
