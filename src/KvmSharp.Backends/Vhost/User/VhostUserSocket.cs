using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// One connection to a vhost-user back end: messages out, answers in, descriptors with either. Not thread-safe. Every call throws
/// <see cref="LinuxException"/> if the peer is gone, silent for <see cref="TimeoutSeconds"/> or does not keep to the protocol.
/// </summary>
internal sealed unsafe class VhostUserSocket : IDisposable
{
    /// <summary>Longest wait for the peer.</summary>
    public const int TimeoutSeconds = 5;

    private readonly string _path;

    private VhostUserSocket(string path, FileDescriptor file)
    {
        _path = path;
        File = file;
    }

    /// <summary>Hangs up when the peer is gone.</summary>
    public FileDescriptor File { get; }

    /// <summary>Throws <see cref="LinuxException"/>.</summary>
    /// <param name="path">Of the socket, for messages.</param>
    /// <param name="connect">Connects to it.</param>
    public static VhostUserSocket Connect(string path, Func<FileDescriptor> connect)
    {
        FileDescriptor file = connect();
        SetTimeouts(file);
        return new VhostUserSocket(path, file);
    }

    /// <summary>Whoever waits to be accepted. Throws <see cref="LinuxException"/>, with EAGAIN if nobody does.</summary>
    public static VhostUserSocket Accept(UnixListener listener)
    {
        int fd = Libc.accept4(listener.File.Value, null, null, LibcConstants.SOCK_CLOEXEC);
        if (fd < 0)
            throw LinuxException.FromLastError($"accept on {listener.Path}");
        FileDescriptor file = new(fd);
        SetTimeouts(file);
        return new VhostUserSocket(listener.Path, file);
    }

    /// <summary>Sends a message to which there is no answer.</summary>
    public void Send(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default) =>
        Write(request, ProtocolVersion, payload, descriptors);

    /// <summary>Sends a message and waits until the peer says that it has done it (REPLY_ACK).</summary>
    public void SendAcknowledged(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default)
    {
        Write(request, ProtocolVersion | NeedReply, payload, descriptors);
        Span<byte> answer = stackalloc byte[sizeof(ulong)];
        if (ReadAnswer(request, answer, out FileDescriptor? descriptor) != answer.Length)
            throw Failure(request, LibcConstants.EPROTO);
        descriptor?.Dispose();
        if (BinaryPrimitives.ReadUInt64LittleEndian(answer) != 0)
            throw new LinuxException($"{_path}: the back end refuses {request}", LibcConstants.EPROTO);
    }

    /// <summary>Sends a question; its answer has exactly this length.</summary>
    /// <param name="descriptor">What came with the answer, the caller's; null: nothing.</param>
    public void Ask(VhostUserRequest request, ReadOnlySpan<byte> payload, Span<byte> answer, out FileDescriptor? descriptor)
    {
        Write(request, ProtocolVersion, payload, default);
        if (ReadAnswer(request, answer, out descriptor) == answer.Length)
            return;
        descriptor?.Dispose();
        throw Failure(request, LibcConstants.EPROTO);
    }

    /// <summary>Sends a message that is always answered, by some with a number and by some with nothing (SET_LOG_BASE).</summary>
    public void SendAnswered(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors)
    {
        Write(request, ProtocolVersion, payload, descriptors);
        Span<byte> answer = stackalloc byte[sizeof(ulong)];
        int length = ReadAnswer(request, answer, out FileDescriptor? descriptor);
        descriptor?.Dispose();
        if (length is not (0 or sizeof(ulong)))
            throw Failure(request, LibcConstants.EPROTO);
    }

    public ulong AskNumber(VhostUserRequest request)
    {
        Span<byte> answer = stackalloc byte[sizeof(ulong)];
        Ask(request, default, answer, out FileDescriptor? descriptor);
        descriptor?.Dispose();
        return BinaryPrimitives.ReadUInt64LittleEndian(answer);
    }

    /// <summary>Ends the connection for everybody who holds its descriptor.</summary>
    public void HangUp() => _ = Libc.shutdown(File.Value, LibcConstants.SHUT_RDWR);

    public void Dispose() => File.Dispose();

    private void Write(VhostUserRequest request, uint flags, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors)
    {
        int errno = VhostUserWire.Send(File, (uint)request, flags, payload, descriptors);
        if (errno != 0)
            throw Failure(request, errno == LibcConstants.EAGAIN ? LibcConstants.ETIMEDOUT : errno);
    }

    /// <summary>The answer's length, at most that of <paramref name="answer"/>.</summary>
    private int ReadAnswer(VhostUserRequest request, Span<byte> answer, out FileDescriptor? descriptor)
    {
        Span<byte> head = stackalloc byte[HeaderBytes];
        Read(request, head, out descriptor);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(head[4..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        try
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(head) != (uint)request || (flags & (VersionMask | Reply)) != (ProtocolVersion | Reply) || length > (uint)answer.Length)
                throw Failure(request, LibcConstants.EPROTO);
            Read(request, answer[..(int)length], out FileDescriptor? late);
            late?.Dispose();
            return (int)length;
        }
        catch
        {
            descriptor?.Dispose();
            throw;
        }
    }

    /// <summary>All of the bytes. Of descriptors that come with them the first is kept, the others are closed.</summary>
    private void Read(VhostUserRequest request, Span<byte> into, out FileDescriptor? descriptor)
    {
        List<FileDescriptor> descriptors = [];
        long deadline = Environment.TickCount64 + 1000 * TimeoutSeconds;
        for (int done = 0; done < into.Length;)
        {
            nint got = VhostUserWire.Receive(File, into[done..], descriptors, limit: 1);
            int errno = got > 0 ? 0 : got == 0 ? LibcConstants.ECONNRESET : -got == LibcConstants.EAGAIN ? LibcConstants.ETIMEDOUT : (int)-got;
            done += (int)Math.Max(got, 0);
            // The socket's own limit is for each read: one that answers a byte at a time would never reach it.
            if (errno == 0 && done < into.Length && Environment.TickCount64 > deadline)
                errno = LibcConstants.ETIMEDOUT;
            if (errno != 0)
            {
                descriptors.FirstOrDefault()?.Dispose();
                throw Failure(request, errno);
            }
        }

        descriptor = descriptors.FirstOrDefault();
    }

    private static void SetTimeouts(FileDescriptor file)
    {
        // struct timeval
        long* timeout = stackalloc long[] { TimeoutSeconds, 0 };
        _ = Libc.setsockopt(file.Value, LibcConstants.SOL_SOCKET, LibcConstants.SO_RCVTIMEO, timeout, 2 * sizeof(long));
        _ = Libc.setsockopt(file.Value, LibcConstants.SOL_SOCKET, LibcConstants.SO_SNDTIMEO, timeout, 2 * sizeof(long));
    }

    private LinuxException Failure(VhostUserRequest request, int errno) => new($"{_path}: {request}", errno);
}
