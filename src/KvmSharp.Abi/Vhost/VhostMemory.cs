using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Vhost;

/// <summary><c>struct vhost_memory</c>, linux/vhost_types.h: the head of an array of <see cref="vhost_memory_region"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct vhost_memory
{
    public uint nregions;
    public uint padding;
}

/// <summary><c>struct vhost_memory_region</c>, linux/vhost_types.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct vhost_memory_region
{
    public ulong guest_phys_addr;
    public ulong memory_size;
    public ulong userspace_addr;
    public ulong flags_padding;
}
