using System.Numerics;

namespace KvmSharp.Fuzz.Engine;

/// <summary>xoshiro256** (Blackman and Vigna), so that a seed gives the same inputs on every runtime.</summary>
internal sealed class FuzzRandom
{
    private ulong _a, _b, _c, _d;

    internal FuzzRandom(ulong seed)
    {
        _a = Spread(ref seed);
        _b = Spread(ref seed);
        _c = Spread(ref seed);
        _d = Spread(ref seed);
    }

    internal ulong Next()
    {
        ulong result = BitOperations.RotateLeft(_b * 5, 7) * 9;
        ulong shifted = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= shifted;
        _d = BitOperations.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>0 to <paramref name="count"/> - 1.</summary>
    internal int Below(int count) => (int)((Next() >> 32) * (ulong)count >> 32);

    internal void Fill(Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i += 8)
        {
            ulong value = Next();
            for (int k = 0; k < 8 && i + k < bytes.Length; k++)
                bytes[i + k] = (byte)(value >> (8 * k));
        }
    }

    // splitmix64: fills the state from any seed, zero too.
    private static ulong Spread(ref ulong seed)
    {
        ulong z = seed += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
