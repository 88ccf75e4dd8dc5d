using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost;

/// <summary>The three areas of a vring.</summary>
public readonly record struct VhostAreas(VhostArea Descriptor, VhostArea Driver, VhostArea Device);

/// <summary>Where one area starts.</summary>
/// <param name="Guest">As the guest sees it, for back ends that translate by themselves.</param>
/// <param name="Host">In our address space, as the memory table names it.</param>
public readonly record struct VhostArea(GuestAddress Guest, nint Host);
