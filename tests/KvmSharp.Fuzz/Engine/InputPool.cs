namespace KvmSharp.Fuzz.Engine;

/// <summary>Inputs that showed something new, and the next input made from them or from nothing.</summary>
internal sealed class InputPool(FuzzRandom random, int maxBytes)
{
    private const int Capacity = 1024;

    private readonly List<byte[]> _kept = [];

    internal IReadOnlyList<byte[]> Kept => _kept;

    internal void Keep(ReadOnlySpan<byte> input)
    {
        if (_kept.Count < Capacity)
            _kept.Add(input.ToArray());
        else
            _kept[random.Below(Capacity)] = input.ToArray();
    }

    /// <summary>Writes the next input into the buffer; its length.</summary>
    internal int Next(byte[] buffer)
    {
        if (_kept.Count == 0 || random.Below(4) == 0)
        {
            int length = 1 + random.Below(random.Below(2) == 0 ? Math.Min(32, maxBytes) : maxBytes);
            random.Fill(buffer.AsSpan(0, length));
            return length;
        }

        byte[] parent = _kept[random.Below(_kept.Count)];
        parent.CopyTo(buffer, 0);
        int size = parent.Length;
        for (int i = 1 + random.Below(4); i > 0; i--)
            size = Mutate(buffer, size);
        return size;
    }

    private int Mutate(byte[] buffer, int size)
    {
        int at = size == 0 ? 0 : random.Below(size);
        int run = 1 + random.Below(8);
        switch (size == 0 ? 5 : random.Below(7))
        {
            case 0:
                buffer[at] ^= (byte)(1 << random.Below(8));
                return size;
            case 1:
                buffer[at] = (byte)random.Next();
                return size;
            case 2:
                buffer[at] += (byte)(random.Below(9) - 4);
                return size;
            case 3:
                run = Math.Min(run, size - at);
                buffer.AsSpan(at + run, size - at - run).CopyTo(buffer.AsSpan(at));
                return size - run;
            case 4:
                return Insert(buffer, size, at, buffer.AsSpan(at, Math.Min(run, size - at)).ToArray());
            case 5:
                byte[] noise = new byte[run];
                random.Fill(noise);
                return Insert(buffer, size, at, noise);
            default:
                byte[] other = _kept[random.Below(_kept.Count)];
                int from = random.Below(other.Length + 1);
                ReadOnlySpan<byte> tail = other.AsSpan(from, Math.Min(other.Length - from, maxBytes - at));
                tail.CopyTo(buffer.AsSpan(at));
                return at + tail.Length;
        }
    }

    private int Insert(byte[] buffer, int size, int at, ReadOnlySpan<byte> bytes)
    {
        int room = Math.Min(bytes.Length, maxBytes - size);
        buffer.AsSpan(at, size - at).CopyTo(buffer.AsSpan(at + room));
        bytes[..room].CopyTo(buffer.AsSpan(at));
        return size + room;
    }
}
