using System.Runtime.CompilerServices;

namespace KvmSharp.Virtio.Queues;

/// <summary>A copy of a descriptor (virtio 1.2 §2.7.5, §2.8.14), taken with two loads and never looked at again.</summary>
internal readonly unsafe struct RawDescriptor
{
    private readonly ulong _rest;

    private RawDescriptor(ulong address, ulong rest)
    {
        Address = address;
        _rest = rest;
    }

    public ulong Address { get; }

    public uint Length => (uint)_rest;

    /// <summary>Split: next; packed: flags.</summary>
    public ushort High => (ushort)(_rest >> 48);

    /// <summary>Split: flags; packed: buffer id.</summary>
    public ushort Low => (ushort)(_rest >> 32);

    /// <summary>Indirect tables have no alignment of their own.</summary>
    public static RawDescriptor Read(byte* from) => new(Unsafe.ReadUnaligned<ulong>(from), Unsafe.ReadUnaligned<ulong>(from + 8));
}
