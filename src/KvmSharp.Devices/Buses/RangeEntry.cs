namespace KvmSharp.Devices.Buses;

/// <summary>One claimed range. Immutable but for <see cref="Removed"/>, which is guarded by <see cref="AccessLock"/>.</summary>
internal sealed class RangeEntry<TDevice>(ulong start, ulong last, TDevice device, string name, int counterSlot, Lock accessLock)
    where TDevice : class
{
    internal readonly ulong Start = start;

    /// <summary>Last address of the range, inclusive, so that a range may end at the top of the address space.</summary>
    internal readonly ulong Last = last;

    internal readonly TDevice Device = device;
    internal readonly string Name = name;
    internal readonly int CounterSlot = counterSlot;

    /// <summary>Serialises accesses; the device's own lock if it has one to share.</summary>
    internal readonly Lock AccessLock = accessLock;

    /// <summary>Set under the lock when the range is unregistered: whoever found the entry before may not enter the device any more.</summary>
    internal bool Removed;
}
