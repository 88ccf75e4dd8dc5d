using System.Buffers.Binary;

namespace KvmSharp.Machine.Boot;

/// <summary>Finds the PVH entry among a file's PT_NOTE segments (xen/include/public/elfnote.h).</summary>
internal static class ElfNotes
{
    private const uint Phys32Entry = 18;
    private const int HeaderLength = 12;
    private const ulong MaxLength = 1 << 20;

    /// <summary>The entry address; null when the file has no such note. A note that runs out of its segment is an error.</summary>
    internal static ulong? FindPhys32Entry(BootFile file, ElfImage image)
    {
        foreach (ElfSegment segment in image.Segments)
        {
            if (segment.Type != ElfSegment.Note || segment.FileLength == 0)
                continue;
            if (segment.FileLength > MaxLength)
                throw Broken(file);
            byte[] notes = new byte[segment.FileLength];
            if (!file.TryRead(segment.Offset, notes))
                throw file.Error("is an ELF file cut short inside its notes; copy it again");
            if (Find(file, notes, segment.Alignment == 8 ? 8 : 4) is { } entry)
                return entry;
        }

        return null;
    }

    private static ulong? Find(BootFile file, ReadOnlySpan<byte> notes, int alignment)
    {
        while (notes.Length >= HeaderLength)
        {
            uint nameLength = BinaryPrimitives.ReadUInt32LittleEndian(notes);
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(notes[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(notes[8..]);
            ulong body = BootLayout.AlignUp(HeaderLength + (ulong)nameLength, (ulong)alignment);
            if (body + length > (ulong)notes.Length)
                throw Broken(file);
            if (type == Phys32Entry && nameLength == 4 && notes.Slice(HeaderLength, 4).SequenceEqual("Xen\0"u8))
            {
                ReadOnlySpan<byte> value = notes.Slice((int)body, (int)length);
                return length switch
                {
                    4 => BinaryPrimitives.ReadUInt32LittleEndian(value),
                    8 => BinaryPrimitives.ReadUInt64LittleEndian(value),
                    _ => throw Broken(file),
                };
            }

            notes = notes[(int)Math.Min((ulong)notes.Length, BootLayout.AlignUp(body + length, (ulong)alignment))..];
        }

        return null;
    }

    private static BootException Broken(BootFile file) => file.Error("has a broken ELF note where the PVH entry is looked for; build it again");
}
