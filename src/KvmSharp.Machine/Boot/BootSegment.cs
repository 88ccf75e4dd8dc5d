namespace KvmSharp.Machine.Boot;

/// <summary>A segment register with its hidden part (SDM vol. 3 §3.4.5). DPL is 0 and the segment is present.</summary>
/// <param name="Selector">Index in the boot GDT.</param>
/// <param name="Limit">Last valid byte.</param>
/// <param name="Type">The four type bits.</param>
/// <param name="CodeOrData">The S bit; false for a system segment.</param>
/// <param name="Default32">The D/B bit.</param>
/// <param name="Long">The L bit.</param>
/// <param name="PageGranular">The G bit.</param>
public readonly record struct BootSegment(
    ushort Selector, uint Limit, byte Type, bool CodeOrData, bool Default32, bool Long, bool PageGranular)
{
    /// <summary>The descriptor as it stands in the GDT, base 0.</summary>
    public ulong Descriptor
    {
        get
        {
            uint limit = PageGranular ? Limit >> 12 : Limit;
            ulong access = 0x80u | (CodeOrData ? 0x10u : 0) | Type;
            ulong flags = (PageGranular ? 8u : 0) | (Default32 ? 4u : 0) | (Long ? 2u : 0);
            return (limit & 0xFFFF) | (access << 40) | ((ulong)(limit >> 16 & 0xF) << 48) | (flags << 52);
        }
    }
}
