namespace KvmSharp.Fuzz.Engine;

/// <summary>
/// An input as a target reads it: a byte string that is decoded, item by item, into operations. Past its end everything is zero, so
/// that every byte string is a valid script and shrinking is deleting and zeroing bytes.
/// </summary>
internal sealed class FuzzScript(Behaviours behaviours)
{
    private static readonly ulong[] s_edges =
    [
        0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000,
        0xF_FFFF, 0x10_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000,
    ];

    private byte[] _bytes = [];
    private int _length;
    private int _at;

    internal bool AtEnd => _at >= _length;

    internal int Remaining => Math.Max(0, _length - _at);

    internal void Load(byte[] bytes, int length)
    {
        _bytes = bytes;
        _length = length;
        _at = 0;
    }

    internal byte U8() => _at < _length ? _bytes[_at++] : (byte)0;

    internal ushort U16() => (ushort)(U8() | U8() << 8);

    internal uint U32() => U16() | (uint)U16() << 16;

    internal ulong U64() => U32() | (ulong)U32() << 32;

    internal bool Flag() => (U8() & 1) != 0;

    /// <summary>0 to <paramref name="count"/> - 1, at most 65535.</summary>
    internal int Below(int count) => count <= 256 ? U8() % count : U16() % count;

    /// <summary>A number as programs get wrong: small, at or just below or above an edge, all ones, or anything.</summary>
    internal ulong Number()
    {
        byte how = U8();
        return how switch
        {
            < 64 => how,
            < 99 => s_edges[how - 64],
            < 134 => s_edges[how - 99] - 1,
            < 169 => 0 - s_edges[how - 134],
            < 200 => U8(),
            < 225 => U16(),
            < 245 => U32(),
            _ => U64(),
        };
    }

    internal void Fill(Span<byte> into)
    {
        foreach (ref byte b in into)
            b = U8();
    }

    /// <summary>Tells the run what the target did, as a small number and a class; what was not seen before makes an input worth keeping.</summary>
    internal void Observe(uint kind, ulong what) => behaviours.Add(kind, what);

    /// <summary>As above for a text, without its numbers and what stands in quotes.</summary>
    internal void Observe(uint kind, string text)
    {
        ulong hash = 14695981039346656037;
        bool quoted = false;
        foreach (char c in text)
        {
            quoted ^= c == '\'';
            if (!quoted && !char.IsAsciiDigit(c))
                hash = (hash ^ c) * 1099511628211;
        }

        behaviours.Add(kind, hash);
    }
}
