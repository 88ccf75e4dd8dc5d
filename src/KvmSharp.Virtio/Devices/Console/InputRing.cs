namespace KvmSharp.Virtio.Devices.Console;

/// <summary>Host input on its way to the driver: a bounded ring with one producer and one consumer thread, without locks.</summary>
internal sealed class InputRing
{
    private const int Capacity = 16 * 1024;

    private readonly byte[] _bytes = new byte[Capacity];

    // Counted up for ever, modulo 2^32; each is written by one side only.
    private uint _head;
    private uint _tail;

    /// <summary>Either side; what it says can only grow less wrong for the side that asks.</summary>
    public int Count => (int)(Volatile.Read(ref _tail) - Volatile.Read(ref _head));

    /// <summary>Producer.</summary>
    public int Room => Capacity - Count;

    /// <summary>Producer. Appends what fits.</summary>
    public void Enqueue(ReadOnlySpan<byte> data)
    {
        int total = Math.Min(data.Length, Room);
        int at = (int)(_tail % Capacity);
        int first = Math.Min(total, Capacity - at);
        data[..first].CopyTo(_bytes.AsSpan(at));
        data[first..total].CopyTo(_bytes);
        // Publishes the bytes: pairs with the read in Count.
        Volatile.Write(ref _tail, _tail + (uint)total);
    }

    /// <summary>Consumer. The longest contiguous run at the front.</summary>
    public ReadOnlySpan<byte> Front
    {
        get
        {
            int at = (int)(_head % Capacity);
            return _bytes.AsSpan(at, Math.Min(Count, Capacity - at));
        }
    }

    /// <summary>Consumer. Gives the room back.</summary>
    public void Discard(int count) => Volatile.Write(ref _head, _head + (uint)count);
}
