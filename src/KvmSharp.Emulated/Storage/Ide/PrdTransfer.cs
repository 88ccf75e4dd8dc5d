namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What a table of physical region descriptors gives.</summary>
/// <param name="IsValid">False: the table, or memory it names, is not in RAM.</param>
/// <param name="Bytes">A multiple of a sector; less than wanted if the table ended before.</param>
/// <param name="SegmentCount">Segments that hold the bytes.</param>
/// <param name="IsExhausted">The last descriptor was used up.</param>
internal readonly record struct PrdTransfer(bool IsValid, ulong Bytes, int SegmentCount, bool IsExhausted);
