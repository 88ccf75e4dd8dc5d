using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>A system call and who may make it.</summary>
/// <param name="Name">As in asm/unistd_64.h, without the prefix.</param>
/// <param name="Roles">Who may; the control thread may whatever anybody may.</param>
/// <param name="Conditions">One of them has to hold; none: always.</param>
public sealed record SystemCall(string Name, Roles Roles, params ArgumentCondition[] Conditions)
{
    /// <summary>The role may make it, if a condition of the role holds.</summary>
    public bool IsFor(ThreadRole role) => Roles.Includes(role);
}

/// <summary>What an argument has to be.</summary>
/// <param name="Index">Of the argument, from 0.</param>
/// <param name="Mask">The bits that are looked at.</param>
/// <param name="Value">What they have to be.</param>
/// <param name="Roles">Whom it is for.</param>
public sealed record ArgumentCondition(uint Index, ulong Mask, ulong Value, Roles Roles)
{
    public bool IsFor(ThreadRole role) => Roles.Includes(role);
}
