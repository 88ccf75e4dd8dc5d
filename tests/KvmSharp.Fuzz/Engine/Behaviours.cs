namespace KvmSharp.Fuzz.Engine;

/// <summary>What a target was seen to do so far, as a bit map of hashes: the feedback that decides which inputs are built upon.</summary>
internal sealed class Behaviours
{
    private const int Bits = 1 << 16;

    private readonly ulong[] _seen = new ulong[Bits / 64];

    internal int Count { get; private set; }

    internal void Add(uint kind, ulong what)
    {
        ulong hash = (what ^ ((ulong)kind << 56)) * 0x9E37_79B9_7F4A_7C15;
        int bit = (int)(hash >> 48);
        ulong mask = 1UL << (bit & 63);
        if ((_seen[bit >> 6] & mask) != 0)
            return;
        _seen[bit >> 6] |= mask;
        Count++;
    }
}
