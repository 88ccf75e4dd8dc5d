namespace KvmSharp.Machine.Boot;

/// <summary>One entry of the memory map given to the guest, in bytes.</summary>
public readonly record struct BootMemoryRange(ulong Start, ulong Length, BootMemoryType Type)
{
    public ulong End => Start + Length;
}
