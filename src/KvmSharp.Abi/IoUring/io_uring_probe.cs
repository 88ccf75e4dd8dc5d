using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary><c>struct io_uring_probe</c>, linux/io_uring.h, without its flexible array of <see cref="io_uring_probe_op"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct io_uring_probe
{
    public byte last_op;
    public byte ops_len;
    public ushort resv;
    public fixed uint resv2[3];
}

/// <summary><c>struct io_uring_probe_op</c>, linux/io_uring.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct io_uring_probe_op
{
    public byte op;
    public byte resv;
    public ushort flags;
    public uint resv2;
}
