namespace KvmSharp.Devices.Buses;

/// <summary>A claimed range, for diagnostics and memory maps.</summary>
/// <param name="Start">First port or address.</param>
/// <param name="Last">Last port or address, inclusive.</param>
/// <param name="Name">The name it was registered under.</param>
public readonly record struct BusRange(ulong Start, ulong Last, string Name);
