using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Session;

/// <summary>
/// The memory in which we note for a front end which pages of its guest we write to ("Migration" of the vhost-user protocol): a bit for each page of 4096
/// bytes, from guest address 0. The front end takes bits out at the same time.
/// </summary>
internal sealed unsafe class DirtyLog : IPageLog, IDisposable
{
    /// <summary>Of a guest with 64 TiB.</summary>
    private const ulong MaxBytes = 1UL << 31;

    private const int PagesPerWord = 32;

    private readonly LentMapping _mapping;
    private readonly ulong _pages;

    /// <summary>Throws <see cref="ProtocolException"/> for sizes that make no sense, <see cref="LinuxException"/> if the host refuses.</summary>
    /// <param name="lost">See <see cref="LentMapping"/>.</param>
    public DirtyLog(FileDescriptor file, ulong bytes, ulong offset, EventFd lost)
    {
        if (bytes is 0 or > MaxBytes || bytes % sizeof(int) != 0 || offset % GuestMemory.PageSize != 0)
            throw new ProtocolException($"{bytes} bytes at offset {offset} for a log of pages");
        ulong page = SharedFile.Check(file, offset, bytes);
        _mapping = new LentMapping(file, (bytes + page - 1) & ~(page - 1), offset, lost);
        _pages = bytes / sizeof(int) * PagesPerWord;
    }

    public void Mark(GuestAddress start, ulong bytes)
    {
        if (bytes == 0)
            return;
        // What is marked lies in guest memory, whose regions do not reach beyond 2^63: no overflow.
        ulong last = Math.Min((start.Value + bytes - 1) / GuestMemory.PageSize, _pages - 1);
        for (ulong page = start.Value / GuestMemory.PageSize; page <= last; page++)
        {
            // SAFETY: page is below _pages. Always an interlocked operation, also for a bit that seems to be there: what was written before is seen by
            // whoever takes the bit out.
            Interlocked.Or(ref *(int*)(_mapping.Pointer + page / PagesPerWord * sizeof(int)), 1 << (int)(page % PagesPerWord));
        }
    }

    public void Dispose() => _mapping.Dispose();
}
