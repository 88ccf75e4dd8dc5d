namespace KvmSharp.Machine.Boot;

/// <summary>Guest memory a kernel segment or module occupies.</summary>
internal readonly record struct LoadedRange(ulong Start, ulong End);
