using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// Which pages of guest memory a back end wrote to: a bit for each page of 4096 bytes, from guest address 0, in memory that both sides map. One reader.
/// </summary>
public sealed unsafe class VhostUserLog : IDisposable
{
    private const int PagesPerWord = 64;

    private readonly MappedRegion _bits;

    /// <summary>One for all of this memory. Throws <see cref="LinuxException"/>.</summary>
    public VhostUserLog(GuestMemory memory)
    {
        ulong pages = memory.Regions[^1].End / GuestMemory.PageSize;
        SizeBytes = (pages + PagesPerWord - 1) / PagesPerWord * sizeof(ulong);
        fixed (byte* name = "kvmsharp-log\0"u8)
        {
            int fd = Libc.memfd_create(name, LibcConstants.MFD_CLOEXEC);
            File = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("memfd_create for a log of dirty pages");
        }

        try
        {
            if (Libc.ftruncate(File.Value, (long)SizeBytes) != 0)
                throw LinuxException.FromLastError("ftruncate of a log of dirty pages");
            _bits = MappedRegion.MapShared(File, SizeBytes);
        }
        catch
        {
            File.Dispose();
            throw;
        }
    }

    /// <summary>Bytes of the bitmap.</summary>
    public ulong SizeBytes { get; }

    internal FileDescriptor File { get; }

    /// <summary>The pages written to since the last time, by number, into <paramref name="pages"/>. False: there may be more, ask again.</summary>
    public bool TryTake(ICollection<ulong> pages, int limit)
    {
        var words = new Span<ulong>(_bits.Pointer, (int)(SizeBytes / sizeof(ulong)));
        for (int i = 0; i < words.Length; i++)
        {
            if (Volatile.Read(ref words[i]) == 0)
                continue;
            if (pages.Count > limit - PagesPerWord)
                return false;
            // The back end sets bits at the same time: none is lost.
            for (ulong bits = Interlocked.Exchange(ref words[i], 0); bits != 0; bits &= bits - 1)
                pages.Add((ulong)i * PagesPerWord + (uint)ulong.TrailingZeroCount(bits));
        }

        return true;
    }

    public void Dispose()
    {
        _bits.Dispose();
        File.Dispose();
    }
}
