using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    /// <summary>0: there is none.</summary>
    [LibraryImport(Library, EntryPoint = "if_nametoindex", SetLastError = true)]
    public static partial uint if_nametoindex(byte* name);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int setsockopt(int fd, int level, int option, void* value, uint length);
}

/// <summary><c>struct sockaddr_ll</c>, linux/if_packet.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sockaddr_ll
{
    public ushort sll_family;

    /// <summary>Big endian.</summary>
    public ushort sll_protocol;
    public int sll_ifindex;
    public ushort sll_hatype;
    public byte sll_pkttype;
    public byte sll_halen;
    public fixed byte sll_addr[8];
}
