namespace KvmSharp.Core.Memory;

/// <summary>A guest physical address, in bytes. Host pointers are <c>byte*</c>; I/O virtual addresses have a type of their own.</summary>
public readonly record struct GuestAddress(ulong Value)
{
    public static GuestAddress operator +(GuestAddress address, ulong offsetBytes) => new(address.Value + offsetBytes);

    public override string ToString() => $"0x{Value:x}";
}
