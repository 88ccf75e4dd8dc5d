using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Net;

/// <summary>
/// One queue pair of a network back end. Packets carry a <c>virtio_net_hdr_v1</c> of 12 bytes in front (virtio 1.2 §5.1.6),
/// little-endian. Used by one thread; nothing allocates, blocks or throws.
/// </summary>
public interface INetQueue : IDisposable
{
    /// <summary>Readable when <see cref="Receive"/> has a packet, writable when <see cref="Send"/> has room.</summary>
    FileDescriptor Poll { get; }

    /// <summary>Fills the buffers with one packet. Its length with header, -EAGAIN when there is none, else -errno. A longer packet is cut.</summary>
    int Receive(ReadOnlySpan<IoVec> to);

    /// <summary>Sends one packet straight from the buffers. Its length, -EAGAIN when the host queue is full, else -errno.</summary>
    int Send(ReadOnlySpan<IoVec> from);
}
