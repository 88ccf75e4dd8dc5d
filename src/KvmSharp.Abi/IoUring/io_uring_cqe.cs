using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary><c>struct io_uring_cqe</c>, linux/io_uring.h: one completion.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct io_uring_cqe
{
    public ulong user_data;
    public int res;
    public uint flags;
}
