using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>A kernel out of the cache, open. Its file is checked as a stranger's would be.</summary>
internal sealed unsafe class CachedKernel : IDisposable
{
    private const ulong StretchesOfPiece = LoadHelper.PieceBytes / RelocationIndex.StretchBytes;

    private readonly BootFile _file;
    private readonly CachedKernelHeader _header;

    private CachedKernel(BootFile file, CachedKernelHeader header)
    {
        _file = file;
        _header = header;
    }

    /// <summary>Physical address that it is linked at: where it goes unless it is moved.</summary>
    internal ulong LinkStart => _header.LinkStart;

    /// <summary>Bytes of memory from its first to past its last.</summary>
    internal ulong Span => _header.Span;

    /// <summary>Whether its virtual address can be moved.</summary>
    internal bool IsRelocatable => _header.Relocations.Any;

    /// <summary>The 64-bit entry, from its start.</summary>
    internal ulong Entry => _header.Entry;

    /// <summary>Takes the file over if it is a sound one.</summary>
    internal static CachedKernel? TryOpen(BootFile file)
    {
        Span<CachedKernelHeader> header = stackalloc CachedKernelHeader[1];
        return file.TryRead(0, MemoryMarshal.AsBytes(header)) && header[0].IsSound(file.Length) ? new CachedKernel(file, header[0]) : null;
    }

    /// <summary>Copies it to physical address <paramref name="load"/>, where all is RAM, and moves what it refers to by <paramref name="delta"/>.</summary>
    internal void LoadTo(GuestMemory memory, ulong load, ulong delta, LoadHelper helper)
    {
        if (!memory.TryGetPointer(new(load), Span, out byte* host))
            throw _file.Error("does not fit the guest's memory");
        KernelMover? mover = delta != 0 ? new KernelMover(_file, _header, host, delta) : null;
        ulong stretches = RelocationIndex.Length(Span);
        helper.Share((stretches + StretchesOfPiece - 1) / StretchesOfPiece, piece => LoadPiece(piece, byFile: true), piece => LoadPiece(piece, byFile: false));
        mover?.Finish();

        [SkipLocalsInit]
        void LoadPiece(ulong piece, bool byFile)
        {
            Span<uint> buffer = stackalloc uint[KernelMover.PlacesAtATime];
            for (ulong stretch = piece * StretchesOfPiece; stretch < Math.Min(stretches, (piece + 1) * StretchesOfPiece); stretch++)
            {
                Copy(stretch, memory, load, host, byFile);
                mover?.Move(stretch, buffer);
            }
        }
    }

    public void Dispose() => _file.Dispose();

    private void Copy(ulong stretch, GuestMemory memory, ulong load, byte* host, bool byFile)
    {
        ulong start = stretch * RelocationIndex.StretchBytes, end = start + RelocationIndex.StretchBytes;
        for (int i = 0; i < _header.SegmentCount; i++)
        {
            CachedSegment s = _header.Segments[i];
            ulong from = Math.Max(start, s.Offset), to = Math.Min(end, s.Offset + s.FileLength);
            if (from < to)
                _file.CopyToGuest(memory, load + from, s.FileOffset + (from - s.Offset), host + from, to - from, byFile);
        }
    }
}
