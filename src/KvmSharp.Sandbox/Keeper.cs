using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;
using KvmSharp.Core.Memory;

namespace KvmSharp.Sandbox;

/// <summary>
/// The process beside a confined program that removes its files and connects to sockets for it (native-shims/keeper.h). Which ones is said before
/// <see cref="Seal"/> and cannot be changed afterwards, so that a program that was taken over can do no more by it than to remove its own files early.
/// It removes them by itself when the program dies.
/// </summary>
public sealed unsafe class Keeper : IHostPaths, IDisposable
{
    private readonly FileDescriptor _pair;
    private readonly Lock _sync = new();
    private bool _disposed;

    private Keeper(FileDescriptor pair) => _pair = pair;

    /// <summary>Starts it: early, while the program is small. Throws <see cref="LinuxException"/>.</summary>
    public static Keeper Start()
    {
        int fd = NativeShims.kvmsharp_keeper_start();
        return fd >= 0 ? new Keeper(new FileDescriptor(fd)) : throw new LinuxException("start the keeper of paths", -fd);
    }

    public IDisposable Keep(string path)
    {
        int index = AskWithPath('K', path);
        return new Claim(this, index);
    }

    public Func<FileDescriptor> Connector(string path)
    {
        int index = AskWithPath('C', path);
        return () =>
        {
            int result = Ask('O', MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in index)), out FileDescriptor? connected);
            return result >= 0 && connected is not null ? connected : throw new LinuxException($"connect {path}", result < 0 ? -result : LibcConstants.EPROTO);
        };
    }

    /// <summary>From now on nothing can be added. Not answered: whoever asks for more stands behind this in the same socket.</summary>
    public void Seal()
    {
        lock (_sync)
        {
            if (!_disposed)
                Send("S"u8);
        }
    }

    public void Dispose()
    {
        lock (_sync)
            _disposed = true;
        _pair.Dispose();
    }

    private int AskWithPath(char command, string path)
    {
        int result = Ask(command, Encoding.UTF8.GetBytes(path), out _);
        return result >= 0 ? result : throw new LinuxException($"keep {path}", -result);
    }

    private void Remove(int index) => Ask('R', MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in index)), out _);

    /// <summary>The answer, or -errno if the keeper is gone.</summary>
    private int Ask(char command, ReadOnlySpan<byte> argument, out FileDescriptor? descriptor)
    {
        descriptor = null;
        byte[] message = [(byte)command, .. argument];
        int answer = -LibcConstants.EPIPE;
        int control = sizeof(cmsghdr) + sizeof(nint);
        byte* ancillary = stackalloc byte[control];
        lock (_sync)
        {
            if (_disposed)
                return answer;
            int sent = Send(message);
            if (sent < 0)
                return sent;

            IoVec incoming = new((byte*)&answer, sizeof(int));
            msghdr receive = new() { msg_iov = &incoming, msg_iovlen = 1, msg_control = ancillary, msg_controllen = (nuint)control };
            nint got;
            do got = Libc.recvmsg(_pair.Value, &receive, LibcConstants.MSG_CMSG_CLOEXEC);
            while (got < 0 && Marshal.GetLastPInvokeError() == LibcConstants.EINTR);
            if (got != sizeof(int))
                return -LibcConstants.EPIPE;
            // SAFETY: the kernel wrote msg_controllen bytes of it.
            if (receive.msg_controllen >= (nuint)(sizeof(cmsghdr) + sizeof(int)) && ((cmsghdr*)ancillary)->cmsg_type == LibcConstants.SCM_RIGHTS)
                descriptor = new FileDescriptor(*(int*)(ancillary + sizeof(cmsghdr)));
        }

        return answer;
    }

    /// <summary>0, or -errno if the keeper is gone.</summary>
    private int Send(ReadOnlySpan<byte> message)
    {
        fixed (byte* start = message)
        {
            IoVec outgoing = new(start, (nuint)message.Length);
            msghdr send = new() { msg_iov = &outgoing, msg_iovlen = 1 };
            nint sent;
            do sent = Libc.sendmsg(_pair.Value, &send, LibcConstants.MSG_NOSIGNAL);
            while (sent < 0 && Marshal.GetLastPInvokeError() == LibcConstants.EINTR);
            return sent < 0 ? -Marshal.GetLastPInvokeError() : 0;
        }
    }

    private sealed class Claim(Keeper keeper, int index) : IDisposable
    {
        public void Dispose() => keeper.Remove(index);
    }
}
