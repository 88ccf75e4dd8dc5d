using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary><c>struct io_uring_params</c>, linux/io_uring.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct io_uring_params
{
    public uint sq_entries;
    public uint cq_entries;
    public uint flags;
    public uint sq_thread_cpu;
    public uint sq_thread_idle;
    public uint features;
    public uint wq_fd;
    public fixed uint resv[3];
    public io_sqring_offsets sq_off;
    public io_cqring_offsets cq_off;
}

/// <summary><c>struct io_sqring_offsets</c>, linux/io_uring.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct io_sqring_offsets
{
    public uint head;
    public uint tail;
    public uint ring_mask;
    public uint ring_entries;
    public uint flags;
    public uint dropped;
    public uint array;
    public uint resv1;
    public ulong resv2;
}

/// <summary><c>struct io_cqring_offsets</c>, linux/io_uring.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct io_cqring_offsets
{
    public uint head;
    public uint tail;
    public uint ring_mask;
    public uint ring_entries;
    public uint overflow;
    public uint cqes;
    public uint flags;
    public uint resv1;
    public ulong resv2;
}
