using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary><c>struct ifreq</c>, linux/if.h, with the members of its union that are used.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
public unsafe struct ifreq
{
    [FieldOffset(0)] public fixed byte ifr_name[16];
    [FieldOffset(16)] public short ifr_flags;
    [FieldOffset(16)] public int ifr_mtu;
    [FieldOffset(16)] public int ifr_ifindex;
}
