using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>A system call and who may make it.</summary>
/// <param name="Number">__NR_…, asm/unistd_64.h.</param>
/// <param name="Roles">Who may; the control thread may whatever anybody may.</param>
/// <param name="Conditions">One of them has to hold; none: always.</param>
public sealed record SystemCall(int Number, Roles Roles, params ArgumentCondition[] Conditions)
{
    /// <summary>The role may make it, if a condition of the role holds.</summary>
    public bool IsFor(ThreadRole role) => Roles.Includes(role);
}

/// <summary>What the lower 32 bits of an argument have to be: all that the kernel looks at in requests, options and flags of this kind.</summary>
/// <param name="Index">Of the argument, from 0.</param>
/// <param name="Mask">The bits that are looked at.</param>
/// <param name="Value">What they have to be.</param>
/// <param name="Roles">Whom it is for.</param>
public sealed record ArgumentCondition(uint Index, uint Mask, uint Value, Roles Roles)
{
    public bool IsFor(ThreadRole role) => Roles.Includes(role);
}
