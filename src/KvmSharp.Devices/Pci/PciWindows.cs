namespace KvmSharp.Devices.Pci;

/// <summary>Where BARs may go; what the host bridge's _CRS says. An empty window has length 0.</summary>
public sealed record PciWindows
{
    public required ulong Memory32Start { get; init; }

    public required ulong Memory32Length { get; init; }

    /// <summary>Above RAM and above 4 GiB.</summary>
    public ulong Memory64Start { get; init; }

    public ulong Memory64Length { get; init; }

    public required ushort IoStart { get; init; }

    public required int IoLength { get; init; }
}
