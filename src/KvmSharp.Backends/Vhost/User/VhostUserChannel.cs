using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// Where a back end asks something of us. All that it may is to say that device configuration changed; whatever else it asks is refused, and descriptors
/// that come are dropped. Never blocks. One thread.
/// </summary>
public sealed unsafe class VhostUserChannel : IDisposable
{
    /// <summary>Messages served at a time.</summary>
    private const int Budget = 16;

    private readonly byte[] _message = new byte[HeaderBytes + MaxPayloadBytes];
    private int _length;

    private VhostUserChannel(FileDescriptor end) => File = end;

    /// <summary>Readable when the back end has said something or is gone.</summary>
    public FileDescriptor File { get; }

    /// <summary>Gives the back end its end. Throws <see cref="LinuxException"/>.</summary>
    internal static VhostUserChannel Open(VhostUserSession session)
    {
        int* ends = stackalloc int[2];
        if (Libc.socketpair(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC, 0, ends) != 0)
            throw LinuxException.FromLastError("socketpair");
        FileDescriptor ours = new(ends[0]);
        using FileDescriptor theirs = new(ends[1]);
        try
        {
            session.SetChannel(theirs);
            return new VhostUserChannel(ours);
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }

    /// <summary>Answers what was asked. False: the back end hung up, or does not keep to the protocol; the channel is of no use any more.</summary>
    /// <param name="configChanged">It said so.</param>
    public bool TryServe(out bool configChanged)
    {
        configChanged = false;
        for (int i = 0; i < Budget; i++)
        {
            if (!TryFill(HeaderBytes, out bool whole))
                return false;
            if (!whole)
                return true;
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(_message.AsSpan(8));
            if (length > MaxPayloadBytes || (BinaryPrimitives.ReadUInt32LittleEndian(_message.AsSpan(4)) & (VersionMask | Reply)) != ProtocolVersion)
                return false;
            if (!TryFill(HeaderBytes + (int)length, out whole))
                return false;
            if (!whole)
                return true;
            _length = 0;
            bool known = BinaryPrimitives.ReadUInt32LittleEndian(_message) == (uint)VhostUserBackendRequest.ConfigChange;
            configChanged |= known;
            if (!TryAnswer(known))
                return false;
        }

        return true;
    }

    public void Dispose() => File.Dispose();

    /// <summary>Reads on up to this many bytes of the message, if they are there.</summary>
    private bool TryFill(int length, out bool whole)
    {
        while (_length < length)
        {
            nint got;
            int errno;
            fixed (byte* start = _message)
            {
                IoVec vector = new(start + _length, (nuint)(length - _length));
                // No room for control messages: the kernel closes descriptors that come.
                msghdr head = new() { msg_iov = &vector, msg_iovlen = 1 };
                got = Libc.recvmsg(File.Value, &head, LibcConstants.MSG_DONTWAIT | LibcConstants.MSG_CMSG_CLOEXEC);
                errno = Marshal.GetLastPInvokeError();
            }

            if (got < 0 && errno == LibcConstants.EINTR)
                continue;
            if (got <= 0)
            {
                whole = false;
                return got < 0 && errno == LibcConstants.EAGAIN;
            }

            _length += (int)got;
        }

        whole = true;
        return true;
    }

    /// <summary>If it wants an answer.</summary>
    private bool TryAnswer(bool done)
    {
        if ((BinaryPrimitives.ReadUInt32LittleEndian(_message.AsSpan(4)) & NeedReply) == 0)
            return true;
        const int Length = HeaderBytes + sizeof(ulong);
        BinaryPrimitives.WriteUInt32LittleEndian(_message.AsSpan(4), ProtocolVersion | Reply);
        BinaryPrimitives.WriteUInt32LittleEndian(_message.AsSpan(8), sizeof(ulong));
        BinaryPrimitives.WriteUInt64LittleEndian(_message.AsSpan(HeaderBytes), done ? 0UL : 1);
        fixed (byte* start = _message)
        {
            IoVec vector = new(start, Length);
            msghdr head = new() { msg_iov = &vector, msg_iovlen = 1 };
            return Libc.sendmsg(File.Value, &head, LibcConstants.MSG_DONTWAIT | LibcConstants.MSG_NOSIGNAL) == Length;
        }
    }
}
