using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Net;

/// <summary>One queue of a tap: packets go between the kernel and the caller's buffers, no copy in between.</summary>
internal sealed unsafe class TapQueue : INetQueue
{
    /// <summary>UIO_MAXIOV.</summary>
    private const int MaxVectors = 1024;

    private readonly TapBackend _tap;
    private readonly int _index;
    private readonly int _fd;
    private bool _disposed;

    public TapQueue(TapBackend tap, int index, FileDescriptor descriptor)
    {
        _tap = tap;
        _index = index;
        _fd = descriptor.Value;
        Poll = descriptor;
    }

    public FileDescriptor Poll { get; }

    public int Receive(ReadOnlySpan<IoVec> to)
    {
        if (to.Length > MaxVectors)
            return -LibcConstants.EINVAL;
        fixed (IoVec* vectors = to)
        {
            while (true)
            {
                // One buffer: the kernel need not fetch a vector.
                nint result = to.Length == 1 ? Libc.read(_fd, vectors->Base, vectors->Length) : Libc.readv(_fd, vectors, to.Length);
                if (result >= 0)
                    return (int)result;
                int errno = Marshal.GetLastPInvokeError();
                if (errno != LibcConstants.EINTR)
                    return -errno;
            }
        }
    }

    public int Send(ReadOnlySpan<IoVec> from)
    {
        if (from.Length > MaxVectors)
            return -LibcConstants.EINVAL;
        fixed (IoVec* vectors = from)
        {
            while (true)
            {
                nint result = from.Length == 1 ? Libc.write(_fd, vectors->Base, vectors->Length) : Libc.writev(_fd, vectors, from.Length);
                if (result >= 0)
                    return (int)result;
                int errno = Marshal.GetLastPInvokeError();
                if (errno != LibcConstants.EINTR)
                    return -errno;
            }
        }
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _tap.CloseQueue(_index);
    }
}
