namespace KvmSharp.Fuzz.Engine;

/// <summary>An input that breaks something.</summary>
/// <param name="Input">Shrunk, if it fails again on a fresh target.</param>
/// <param name="Reproduced">It fails on a fresh target by itself.</param>
internal sealed record FuzzFinding(byte[] Input, Exception Error, bool Reproduced);
