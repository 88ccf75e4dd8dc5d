using System.Runtime.InteropServices;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>"Inflight description" of the vhost-user protocol.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct VhostUserInflight
{
    public ulong MapSize;
    public ulong MapOffset;
    public ushort Queues;
    public ushort QueueSize;

    /// <summary>To the multiple of eight that the message has on the wire in QEMU's and DPDK's implementations.</summary>
    private readonly uint _padding;
}
