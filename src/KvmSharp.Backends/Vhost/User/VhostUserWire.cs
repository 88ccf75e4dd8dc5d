using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>Messages and bytes with descriptors on a unix stream socket. What they mean is the caller's.</summary>
public static unsafe class VhostUserWire
{
    private static readonly int s_controlBytes = ControlBytes(MaxDescriptors);

    /// <summary>Sends a message whole; 0, or the errno: EAGAIN when there was no room, and then part of it may be gone.</summary>
    /// <param name="wait">For room, as the socket is set to; false: not even then.</param>
    public static int Send(FileDescriptor socket, uint request, uint flags, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors, bool wait = true)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, MaxPayloadBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        byte* message = stackalloc byte[HeaderBytes + MaxPayloadBytes];
        int length = HeaderBytes + payload.Length;
        Span<byte> bytes = new(message, HeaderBytes + MaxPayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, request);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], (uint)payload.Length);
        payload.CopyTo(bytes[HeaderBytes..]);
        byte* control = stackalloc byte[s_controlBytes];
        IoVec vector = new(message, (nuint)length);
        msghdr head = new() { msg_iov = &vector, msg_iovlen = 1 };
        if (descriptors.Length > 0)
        {
            *(cmsghdr*)control = new cmsghdr
            {
                cmsg_len = (nuint)(sizeof(cmsghdr) + descriptors.Length * sizeof(int)), cmsg_level = LibcConstants.SOL_SOCKET, cmsg_type = LibcConstants.SCM_RIGHTS,
            };
            descriptors.CopyTo(new Span<int>(control + sizeof(cmsghdr), descriptors.Length));
            head.msg_control = control;
            head.msg_controllen = (nuint)ControlBytes(descriptors.Length);
        }

        nint sent;
        int errno;
        do
        {
            sent = Libc.sendmsg(socket.Value, &head, LibcConstants.MSG_NOSIGNAL | (wait ? 0 : LibcConstants.MSG_DONTWAIT));
            errno = sent < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        while (errno == LibcConstants.EINTR);
        return sent == length ? 0 : errno != 0 ? errno : LibcConstants.EAGAIN;
    }

    /// <summary>
    /// Receives at most so many bytes, and whatever descriptors come with them, of which <paramref name="limit"/> are kept and the others closed.
    /// How many bytes; 0 at the end of the connection; else -errno.
    /// </summary>
    public static nint Receive(FileDescriptor socket, Span<byte> into, List<FileDescriptor> descriptors, int limit)
    {
        byte* control = stackalloc byte[s_controlBytes];
        fixed (byte* start = into)
        {
            while (true)
            {
                IoVec vector = new(start, (nuint)into.Length);
                msghdr head = new() { msg_iov = &vector, msg_iovlen = 1, msg_control = control, msg_controllen = (nuint)s_controlBytes };
                nint got = Libc.recvmsg(socket.Value, &head, LibcConstants.MSG_CMSG_CLOEXEC);
                if (got >= 0)
                {
                    Collect(new ReadOnlySpan<byte>(control, (int)head.msg_controllen), descriptors, limit);
                    return got;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno != LibcConstants.EINTR)
                    return -errno;
            }
        }
    }

    private static void Collect(ReadOnlySpan<byte> control, List<FileDescriptor> kept, int limit)
    {
        while (control.Length >= sizeof(cmsghdr))
        {
            cmsghdr head = MemoryMarshal.Read<cmsghdr>(control);
            if (head.cmsg_len < (nuint)sizeof(cmsghdr) || head.cmsg_len > (nuint)control.Length)
                return;
            if (head is { cmsg_level: LibcConstants.SOL_SOCKET, cmsg_type: LibcConstants.SCM_RIGHTS })
            {
                foreach (int fd in MemoryMarshal.Cast<byte, int>(control[sizeof(cmsghdr)..(int)head.cmsg_len]))
                {
                    FileDescriptor received = new(fd);
                    if (kept.Count < limit)
                        kept.Add(received);
                    else
                        received.Dispose();
                }
            }

            control = control[Math.Min(control.Length, Align((int)head.cmsg_len))..];
        }
    }

    private static int ControlBytes(int descriptors) => sizeof(cmsghdr) + Align(descriptors * sizeof(int));

    /// <summary>CMSG_ALIGN of bits/socket.h.</summary>
    private static int Align(int bytes) => (bytes + sizeof(nuint) - 1) & -sizeof(nuint);
}
