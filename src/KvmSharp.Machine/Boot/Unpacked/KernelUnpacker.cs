using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// Takes the kernel out of a bzImage, as the decompressor in its front would (payload_offset and payload_length of the setup header, x86/boot.rst), and
/// writes it so that loading it later is only copying. The file is hostile: what is not understood is left to the kernel's own code, inside the guest.
/// </summary>
internal static unsafe class KernelUnpacker
{
    /// <summary>__START_KERNEL_map (arch/x86/include/asm/page_64_types.h): the kernel's text is mapped there, at its physical link address.</summary>
    internal const ulong KernelMap = 0xFFFF_FFFF_8000_0000;

    private const int MaxPacked = 512 << 20, MaxUnpacked = 1 << 30;
    private const int SizeField = sizeof(uint); // the payload's last word: its unpacked size
    private const uint ZstdMagic = 0xFD2F_B528;

    /// <summary>False, with a reason, for a kernel or a host that this is not for; the file's contents mean nothing then.</summary>
    internal static bool TryUnpack(BootFile kernel, LinuxSetupHeader header, CachedKernelWriter into, out string reason)
    {
        Span<byte> word = stackalloc byte[SizeField];
        uint packed = header.PayloadLength;
        if (packed is <= 2 * SizeField or > MaxPacked || !kernel.TryRead(header.PayloadStart, word) || MemoryMarshal.Read<uint>(word) != ZstdMagic)
        {
            reason = "its payload is not compressed with zstd";
            return false;
        }

        uint unpacked = kernel.TryRead(header.PayloadStart + packed - SizeField, word) ? MemoryMarshal.Read<uint>(word) : 0;
        if (unpacked is < 4096 or > MaxUnpacked)
        {
            reason = "its payload has no sane size";
            return false;
        }

        // Not managed arrays: they would stay in the heap for the guest's whole life.
        void* image = NativeMemory.Alloc(unpacked);
        try
        {
            var whole = new Span<byte>(image, (int)unpacked);
            return TryDecompress(kernel, header.PayloadStart, (int)packed - SizeField, whole, out reason) && TryWrite(kernel, whole, into, out reason);
        }
        finally
        {
            NativeMemory.Free(image);
        }
    }

    private static bool TryDecompress(BootFile kernel, ulong start, int length, Span<byte> into, out string reason)
    {
        void* packed = NativeMemory.Alloc((nuint)length);
        try
        {
            reason = "it is cut short";
            if (!kernel.TryRead(start, new Span<byte>(packed, length)))
                return false;
            reason = "its payload is damaged";
            fixed (byte* p = into)
            {
                nuint got = Zstd.ZSTD_decompress(p, (nuint)into.Length, packed, (nuint)length);
                return Zstd.ZSTD_isError(got) == 0 && got == (nuint)into.Length;
            }
        }
        catch (DllNotFoundException)
        {
            reason = "libzstd is not installed";
            return false;
        }
        finally
        {
            NativeMemory.Free(packed);
        }
    }

    private static bool TryWrite(BootFile kernel, ReadOnlySpan<byte> image, CachedKernelWriter into, out string reason)
    {
        reason = "it holds no ELF kernel of the usual form";
        if (!ElfImage.Matches(image))
            return false;
        ElfImage elf;
        try
        {
            elf = ElfImage.ReadWhole(kernel, image);
        }
        catch (BootException e)
        {
            reason = e.Message;
            return false;
        }

        List<ElfSegment> segments = [.. elf.Segments.Where(s => s.Type == ElfSegment.Load && s.MemoryLength > 0)];
        if (segments.Count is 0 or > CachedKernelHeader.MaxSegments || !segments.TrueForAll(IsSane) || elf.End > (ulong)image.Length)
            return false;
        ElfSegment text = segments.MinBy(s => s.PhysicalAddress)!;
        if (text.VirtualAddress != KernelMap + text.PhysicalAddress)
            return false;
        ulong span = segments.Max(s => s.PhysicalAddress + s.MemoryLength) - text.PhysicalAddress;
        if (!CachedKernelHeader.HasRoom(text.PhysicalAddress, span) || elf.Entry - text.PhysicalAddress >= span)
            return false;
        if (!RelocationTable.TryParse(image[(int)elf.End..], out RelocationTable relocations)
            || !relocations.AllWithin(text.PhysicalAddress, span))
        {
            reason = "its relocations have an unknown form or lie outside of it";
            return false;
        }

        into.Begin(text.PhysicalAddress, span, elf.Entry - text.PhysicalAddress);
        foreach (ElfSegment s in segments)
            into.Add(s.PhysicalAddress - text.PhysicalAddress, image.Slice((int)s.Offset, (int)s.FileLength), s.MemoryLength);
        into.Finish(relocations);
        return true;
    }

    // Together with elf.End, which covers every segment in the file.
    private static bool IsSane(ElfSegment s) =>
        s.FileLength <= s.MemoryLength && s.MemoryLength <= CachedKernelHeader.MaxSpan && s.PhysicalAddress <= uint.MaxValue;
}
