namespace KvmSharp.Backends.Char;

/// <summary>A bounded byte queue. Not thread-safe: its owner locks.</summary>
internal sealed class ByteRing(int capacity)
{
    private readonly byte[] _bytes = new byte[capacity];
    private int _head;

    public int Count { get; private set; }

    /// <summary>Appends what fits; returns how much.</summary>
    public int Enqueue(ReadOnlySpan<byte> data)
    {
        int total = Math.Min(data.Length, _bytes.Length - Count);
        int tail = (_head + Count) % _bytes.Length;
        int first = Math.Min(total, _bytes.Length - tail);
        data[..first].CopyTo(_bytes.AsSpan(tail));
        data[first..total].CopyTo(_bytes);
        Count += total;
        return total;
    }

    /// <summary>The longest contiguous run at the front.</summary>
    public ReadOnlySpan<byte> Front => _bytes.AsSpan(_head, Math.Min(Count, _bytes.Length - _head));

    public void Discard(int count)
    {
        _head = (_head + count) % _bytes.Length;
        Count -= count;
    }

    public void Clear() => Count = 0;
}
