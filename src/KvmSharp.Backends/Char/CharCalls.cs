using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.Backends.Char;

/// <summary>What the back ends ask of the host, each the call of its name and -errno where that fails. Tests put failing ones in its place.</summary>
internal unsafe class CharCalls
{
    public static CharCalls Host { get; } = new();

    public virtual int Read(int fd, Span<byte> to)
    {
        // SAFETY: the span is pinned for the call and its length is passed.
        fixed (byte* p = to)
            return Result(Libc.read(fd, p, (nuint)to.Length));
    }

    public virtual int Write(int fd, ReadOnlySpan<byte> data)
    {
        // SAFETY: as above.
        fixed (byte* p = data)
            return Result(Libc.write(fd, p, (nuint)data.Length));
    }

    public virtual int Poll(Span<pollfd> items, int timeoutMs)
    {
        // SAFETY: as above.
        fixed (pollfd* p = items)
            return Result(Libc.poll(p, (nuint)items.Length, timeoutMs));
    }

    /// <summary>accept4(2): a connection that does not block.</summary>
    public virtual int Accept(int listener) => Result(Libc.accept4(listener, null, null, LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK));

    private static int Result(nint returned) => returned >= 0 ? (int)returned : -Marshal.GetLastPInvokeError();
}
