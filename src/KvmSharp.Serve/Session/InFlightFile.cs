using KvmSharp.Abi;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Session;

/// <summary>
/// The memory in which vrings note what they have in flight. The front end keeps it while this process is dead and brings it to the next one
/// ("Inflight I/O tracking" of the vhost-user protocol), and may do anything to it.
/// </summary>
internal sealed unsafe class InFlightFile : IDisposable
{
    private readonly LentMapping _mapping;
    private readonly ushort _queues;
    private readonly ushort _queueSize;

    private InFlightFile(LentMapping mapping, ushort queues, ushort queueSize)
    {
        _mapping = mapping;
        _queues = queues;
        _queueSize = queueSize;
    }

    /// <summary>A new one, all zero, which is whoever's asked. Throws <see cref="ProtocolException"/> for numbers out of range.</summary>
    public static FileDescriptor Create(ref VhostUserInflight layout)
    {
        // Exactly: whoever looks for a vring's part divides it by their number.
        layout.MapSize = SizeOf(layout.Queues, layout.QueueSize);
        layout.MapOffset = 0;
        fixed (byte* name = "kvmsharp-inflight\0"u8)
        {
            int fd = Libc.memfd_create(name, LibcConstants.MFD_CLOEXEC);
            FileDescriptor file = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("memfd_create");
            if (Libc.ftruncate(fd, (long)Pages(layout.MapSize)) == 0)
                return file;
            LinuxException error = LinuxException.FromLastError("ftruncate");
            file.Dispose();
            throw error;
        }
    }

    /// <summary>One that a front end has kept. Throws <see cref="ProtocolException"/> if it is not what it says.</summary>
    /// <param name="lost">See <see cref="LentMapping"/>.</param>
    public static InFlightFile Open(in VhostUserInflight layout, FileDescriptor file, EventFd lost)
    {
        ulong size = SizeOf(layout.Queues, layout.QueueSize);
        if (layout.MapSize < size || layout.MapOffset % GuestMemory.PageSize != 0)
            throw new ProtocolException($"{layout.MapSize} bytes at offset {layout.MapOffset} for what is in flight");
        SharedFile.Check(file, layout.MapOffset, size);
        return new InFlightFile(new LentMapping(file, Pages(size), layout.MapOffset, lost), layout.Queues, layout.QueueSize);
    }

    /// <summary>The part of a vring; null: it has none.</summary>
    public InFlightRegion? For(int vring) => vring < _queues ? new InFlightRegion(_mapping.Pointer + (ulong)vring * InFlightRegion.SizeOf(_queueSize), _queueSize) : null;

    public void Dispose() => _mapping.Dispose();

    private static ulong Pages(ulong bytes) => (bytes + GuestMemory.PageSize - 1) & ~(GuestMemory.PageSize - 1);

    private static ulong SizeOf(ushort queues, ushort queueSize) => queues is > 0 and <= VhostUserBackend.MaxVrings && queueSize is > 0 and <= ServedRings.MaxVringSize
        ? queues * InFlightRegion.SizeOf(queueSize)
        : throw new ProtocolException($"{queues} vrings of {queueSize} entries in flight");
}
