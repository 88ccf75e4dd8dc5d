using System.Runtime.InteropServices;

namespace KvmSharp.Serve.Session;

/// <summary>"Memory region description" of the vhost-user protocol. Nothing in it is checked.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct FrontEndRegion
{
    public readonly ulong GuestAddress;
    public readonly ulong SizeBytes;
    public readonly ulong UserAddress;

    /// <summary>Where in the file it begins.</summary>
    public readonly ulong FileOffset;
}
