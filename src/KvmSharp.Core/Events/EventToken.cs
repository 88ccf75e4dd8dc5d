namespace KvmSharp.Core.Events;

/// <summary>Names one registration of one <see cref="EventLoop"/>. The generation makes a token useless once it is unregistered, although its slot is used again.</summary>
public readonly record struct EventToken(uint Slot, uint Generation)
{
    /// <summary>False for <c>default</c>, which names nothing.</summary>
    public bool IsValid => Generation != 0;
}
