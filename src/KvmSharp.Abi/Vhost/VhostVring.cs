using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Vhost;

/// <summary><c>struct vhost_vring_state</c>, linux/vhost_types.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct vhost_vring_state
{
    public uint index;
    public uint num;
}

/// <summary><c>struct vhost_vring_file</c>, linux/vhost_types.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct vhost_vring_file
{
    public uint index;
    public int fd;
}

/// <summary><c>struct vhost_vring_addr</c>, linux/vhost_types.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct vhost_vring_addr
{
    public uint index;
    public uint flags;
    public ulong desc_user_addr;
    public ulong used_user_addr;
    public ulong avail_user_addr;
    public ulong log_guest_addr;
}
