namespace KvmSharp.Fuzz.Engine;

/// <summary>An entry of the catalogue.</summary>
/// <param name="Create">Makes a fresh one, with all that it needs.</param>
/// <param name="MaxBytes">Longest input worth trying.</param>
/// <param name="ProbeEvery">A power of two: one in this many inputs is followed by a probe.</param>
internal sealed record FuzzTarget(string Name, Func<IFuzzTarget> Create, int MaxBytes = 256, int ProbeEvery = 16);
