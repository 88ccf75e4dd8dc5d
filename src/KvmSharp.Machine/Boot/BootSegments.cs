using System.Buffers.Binary;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>The boot GDT: __BOOT_CS 0x10 and __BOOT_DS 0x18 as Linux wants them, and a TSS. One table serves both modes.</summary>
internal static class BootSegments
{
    internal const int GdtLength = 6 * 8;

    internal static readonly BootSegment Code64 = new(0x10, 0xFFFF_FFFF, 0xB, true, false, true, true);
    internal static readonly BootSegment Code32 = new(0x10, 0xFFFF_FFFF, 0xB, true, true, false, true);
    internal static readonly BootSegment Data = new(0x18, 0xFFFF_FFFF, 0x3, true, true, false, true);
    internal static readonly BootSegment TaskState = new(0x20, 0x67, 0xB, false, false, false, false);

    internal static void WriteGdt(GuestMemory memory, ulong address, BootMode mode)
    {
        Span<byte> gdt = stackalloc byte[GdtLength];
        gdt.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(gdt[0x10..], (mode == BootMode.Long64 ? Code64 : Code32).Descriptor);
        BinaryPrimitives.WriteUInt64LittleEndian(gdt[0x18..], Data.Descriptor);
        BinaryPrimitives.WriteUInt64LittleEndian(gdt[0x20..], TaskState.Descriptor);
        if (!memory.TryWrite(new(address), gdt))
            throw new BootException("guest memory is too small for the boot data; give the guest more memory");
    }
}
