namespace KvmSharp.Devices.Buses;

/// <summary>
/// Claimed address ranges: an immutable sorted array, found by binary search and replaced whole. <see cref="Find"/> takes no lock.
/// </summary>
/// <remarks>
/// Lock order: a device's access lock may be held when a range is added or removed (a BAR moves); <see cref="_writers"/> is innermost
/// and is never held while waiting for an access lock.
/// </remarks>
internal sealed class RangeTable<TDevice>
    where TDevice : class
{
    private readonly Lock _writers = new();
    private RangeEntry<TDevice>[] _entries = [];

    /// <summary>The entry that contains <paramref name="address"/>, or null. Logarithmic, allocation-free.</summary>
    internal RangeEntry<TDevice>? Find(ulong address)
    {
        RangeEntry<TDevice>[] entries = Volatile.Read(ref _entries);
        int low = 0;
        int high = entries.Length - 1;
        while (low <= high)
        {
            int middle = (int)((uint)(low + high) >> 1);
            RangeEntry<TDevice> entry = entries[middle];
            if (address < entry.Start)
                high = middle - 1;
            else if (address > entry.Last)
                low = middle + 1;
            else
                return entry;
        }

        return null;
    }

    /// <summary>Adds the entry unless it overlaps another, whose name is then returned; null on success. Check and publication are one critical section.</summary>
    internal string? TryAdd(RangeEntry<TDevice> entry)
    {
        lock (_writers)
        {
            RangeEntry<TDevice>[] old = _entries;
            int index = 0;
            while (index < old.Length && old[index].Start <= entry.Last)
            {
                if (old[index].Last >= entry.Start)
                    return old[index].Name;
                index++;
            }

            var replacement = new RangeEntry<TDevice>[old.Length + 1];
            old.AsSpan(0, index).CopyTo(replacement);
            replacement[index] = entry;
            old.AsSpan(index).CopyTo(replacement.AsSpan(index + 1));
            Volatile.Write(ref _entries, replacement);
            return null;
        }
    }

    /// <summary>
    /// Removes the entry. When this returns, no access runs in the device through it (unless the caller itself is inside that access)
    /// and none will start: entries found before the removal are refused under their lock. Idempotent.
    /// </summary>
    internal void Remove(RangeEntry<TDevice> entry)
    {
        lock (_writers)
        {
            RangeEntry<TDevice>[] old = _entries;
            int index = Array.IndexOf(old, entry);
            if (index >= 0)
            {
                var replacement = new RangeEntry<TDevice>[old.Length - 1];
                old.AsSpan(0, index).CopyTo(replacement);
                old.AsSpan(index + 1).CopyTo(replacement.AsSpan(index));
                Volatile.Write(ref _entries, replacement);
            }
        }

        lock (entry.AccessLock)
            entry.Removed = true;
    }

    /// <summary>The ranges as they are now, in address order, for diagnostics.</summary>
    internal BusRange[] Snapshot() =>
        Array.ConvertAll(Volatile.Read(ref _entries), static e => new BusRange(e.Start, e.Last, e.Name));
}
