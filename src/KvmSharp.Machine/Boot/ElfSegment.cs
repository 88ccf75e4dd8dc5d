namespace KvmSharp.Machine.Boot;

/// <summary>A program header, either class.</summary>
internal sealed record ElfSegment(
    uint Type, ulong Offset, ulong VirtualAddress, ulong PhysicalAddress, ulong FileLength, ulong MemoryLength, ulong Alignment)
{
    internal const uint Load = 1, Note = 4;
}
