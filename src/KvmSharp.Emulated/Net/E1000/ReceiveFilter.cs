using System.Buffers.Binary;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>Which frames the driver wants (manual §3.2.1, §9.1, §13.5): exact addresses, the multicast table, VLANs. Reads the registers as they stand.</summary>
internal static class ReceiveFilter
{
    private const ulong Broadcast = 0xFFFF_FFFF_FFFF;

    /// <summary>True for a frame that starts with <paramref name="head"/>, of at least 14 bytes, 18 if it has a tag.</summary>
    /// <param name="inexact">It passed by the multicast table only, so the driver has to look (PIF).</param>
    public static bool Passes(RegisterFile registers, ReadOnlySpan<byte> head, out bool inexact)
    {
        inexact = false;
        uint control = registers[RCTL];
        if ((control & RCTL_VFE) != 0 && IsTagged(registers, head) && !PassesVlan(registers, control, BinaryPrimitives.ReadUInt16BigEndian(head[14..])))
            return false;
        ulong destination = (ulong)BinaryPrimitives.ReadUInt16BigEndian(head) << 32 | BinaryPrimitives.ReadUInt32BigEndian(head[2..]);
        bool group = (head[0] & 1) != 0;
        if ((control & (group ? RCTL_MPE : RCTL_UPE)) != 0 || (destination == Broadcast && (control & RCTL_BAM) != 0))
            return true;
        for (uint i = 0; i < ReceiveAddressCount; i++)
        {
            uint high = registers[RAH0 + (8 * i)];
            if ((high & (RAH_AV | RAH_AS)) == RAH_AV && Address(registers[RAL0 + (8 * i)], high) == destination)
                return true;
        }

        inexact = group && PassesTable(registers, control, head);
        return inexact;
    }

    /// <summary>The frame carries a tag of the type in VET.</summary>
    public static bool IsTagged(RegisterFile registers, ReadOnlySpan<byte> head) =>
        head.Length >= 18 && BinaryPrimitives.ReadUInt16BigEndian(head[12..]) == registers[VET];

    private static bool PassesVlan(RegisterFile registers, uint control, ushort tag)
    {
        const uint Canonical = 1 << 12;
        uint id = tag & 0xFFFu;
        bool canonicalDiffers = (tag & Canonical) != 0 != ((control & RCTL_CFI) != 0);
        return (registers[VFTA + (4 * (id >> 5))] >> (int)(id & 31) & 1) != 0 && ((control & RCTL_CFIEN) == 0 || !canonicalDiffers);
    }

    /// <summary>Twelve bits out of the last two bytes of the address choose a bit of the table; MO says which (§13.5.1).</summary>
    private static bool PassesTable(RegisterFile registers, uint control, ReadOnlySpan<byte> head)
    {
        int shift = (control >> RCTL_MO_SHIFT & 3) switch { 0 => 4, 1 => 3, 2 => 2, _ => 0 };
        uint hash = (uint)(head[5] << 8 | head[4]) >> shift & 0xFFF;
        return (registers[MTA + (4 * (hash >> 5))] >> (int)(hash & 31) & 1) != 0;
    }

    /// <summary>The registers hold the address in wire order, first byte lowest.</summary>
    private static ulong Address(uint low, uint high) => BinaryPrimitives.ReverseEndianness((ulong)low | (ulong)(ushort)high << 32) >> 16;
}
