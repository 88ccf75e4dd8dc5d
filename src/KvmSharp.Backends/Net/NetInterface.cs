using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.NetConstants;

namespace KvmSharp.Backends.Net;

/// <summary>Interface ioctls by name, in the network namespace of the thread that made the object. 0 or -errno; thread-safe.</summary>
internal sealed unsafe class NetInterface : IDisposable
{
    private static readonly SearchValues<char> NotInNames = SearchValues.Create("/:% \t\n");

    private readonly FileDescriptor _socket;

    public NetInterface()
    {
        int fd = Libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        _socket = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("socket");
    }

    /// <summary>Null if the name suits an interface, else what is wrong with it.</summary>
    public static string? NameProblem(string name)
    {
        int bytes = Encoding.UTF8.GetByteCount(name);
        if (bytes == 0)
            return "is empty";
        if (bytes >= IFNAMSIZ)
            return $"is {bytes} bytes long, the kernel takes at most {IFNAMSIZ - 1}: choose a shorter one";
        bool bad = name is "." or ".." || name.AsSpan().ContainsAny(NotInNames);
        return bad ? "has a character that interface names cannot have ('/', ':', '%' or space)" : null;
    }

    public static ifreq Request(string name)
    {
        ifreq request = default;
        // SAFETY: NameProblem bounds the name to IFNAMSIZ - 1 bytes; GetBytes throws beyond the span.
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.ifr_name, IFNAMSIZ - 1));
        return request;
    }

    public static string Name(in ifreq request)
    {
        fixed (byte* name = request.ifr_name)
            return Marshal.PtrToStringUTF8((nint)name) ?? "";
    }

    public int Index(string name, out int index)
    {
        ifreq request = Request(name);
        int result = Call(SIOCGIFINDEX, &request);
        index = request.ifr_ifindex;
        return result;
    }

    public int Mtu(string name, out int mtu)
    {
        ifreq request = Request(name);
        int result = Call(SIOCGIFMTU, &request);
        mtu = request.ifr_mtu;
        return result;
    }

    public int SetMtu(string name, int mtu)
    {
        ifreq request = Request(name);
        request.ifr_mtu = mtu;
        return Call(SIOCSIFMTU, &request);
    }

    public int Flags(string name, out short flags)
    {
        ifreq request = Request(name);
        int result = Call(SIOCGIFFLAGS, &request);
        flags = request.ifr_flags;
        return result;
    }

    public int SetUp(string name)
    {
        int result = Flags(name, out short flags);
        if (result != 0 || (flags & IFF_UP) != 0)
            return result;
        ifreq request = Request(name);
        request.ifr_flags = (short)(flags | IFF_UP);
        return Call(SIOCSIFFLAGS, &request);
    }

    public int AddToBridge(string bridge, int portIndex)
    {
        ifreq request = Request(bridge);
        request.ifr_ifindex = portIndex;
        return Call(SIOCBRADDIF, &request);
    }

    public void Dispose() => _socket.Dispose();

    private int Call(uint operation, ifreq* request) =>
        Libc.ioctl(_socket.Value, operation, (nint)request) >= 0 ? 0 : -Marshal.GetLastPInvokeError();
}
