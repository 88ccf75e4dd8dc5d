using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>A set of <see cref="ThreadRole"/>s.</summary>
[Flags]
public enum Roles : byte
{
    None = 0,
    Runtime = 1 << ThreadRole.Runtime,
    Control = 1 << ThreadRole.Control,
    Vcpu = 1 << ThreadRole.Vcpu,
    Io = 1 << ThreadRole.Io,
}

internal static class RolesExtensions
{
    /// <summary>The control thread has part in everything: it makes the others after a reset, and what its filter forbids is forbidden to what it makes.</summary>
    public static bool Includes(this Roles roles, ThreadRole role) => role == ThreadRole.Control || roles.HasFlag((Roles)(1 << (int)role));
}
