namespace KvmSharp.Virtio.Queues;

/// <summary>Chains that an earlier process took and did not finish, in the order in which it took them: the first entry of each, or its head.</summary>
internal sealed class ReplayOrder(ushort size)
{
    private readonly ushort[] _entries = new ushort[size];
    private readonly ulong[] _counters = new ulong[size];
    private int _added;
    private int _taken;

    /// <summary>What is left of them.</summary>
    public int Count => _added - _taken;

    /// <summary>All, whether taken or not.</summary>
    public ReadOnlySpan<ushort> Entries => _entries.AsSpan(0, _added);

    /// <summary>Above those of all that were added.</summary>
    public ulong NextCounter { get; private set; }

    public void Add(ushort entry, ulong counter)
    {
        _entries[_added] = entry;
        _counters[_added++] = counter;
        NextCounter = Math.Max(NextCounter, counter + 1);
    }

    /// <summary>After the last <see cref="Add"/>.</summary>
    public void Sort() => Array.Sort(_counters, _entries, 0, _added);

    public bool TryTake(out ushort entry)
    {
        bool found = _taken < _added;
        entry = found ? _entries[_taken++] : default;
        return found;
    }
}
