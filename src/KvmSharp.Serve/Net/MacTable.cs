namespace KvmSharp.Serve.Net;

/// <summary>
/// Behind which port an address was seen last. Of fixed size: a station that is new takes the place of the one not seen for longest among a few. Any number of
/// threads without a lock: what they make of an entry at once is one or the other, and a wrong one lasts until the station's next frame.
/// </summary>
internal sealed class MacTable
{
    /// <summary>Stations.</summary>
    public const int Capacity = Buckets * Ways;

    /// <summary>Seconds after which a silent station is forgotten (IEEE 802.1Q §8.8.3).</summary>
    public const uint AgeLimit = 300;

    private const int BucketBits = 10, Buckets = 1 << BucketBits, Ways = 4;

    /// <summary>The address above, the port in the low 16 bits; 0: free, as no station has address 0.</summary>
    private readonly ulong[] _stations = new ulong[Capacity];

    /// <summary>In seconds.</summary>
    private readonly uint[] _seen = new uint[Capacity];

    /// <param name="address">48 bits, unicast, not 0.</param>
    /// <param name="now">Seconds, of any clock that goes forward.</param>
    public void Learn(ulong address, ushort port, uint now)
    {
        ulong station = address << 16 | port;
        int first = FirstOf(address), place = first;
        uint oldest = 0;
        for (int i = first; i < first + Ways; i++)
        {
            ulong there = Volatile.Read(ref _stations[i]);
            if (there == station)
            {
                // Not written for every frame: others read it.
                if (_seen[i] != now)
                    _seen[i] = now;
                return;
            }

            uint age = there == 0 ? uint.MaxValue - 1 : now - _seen[i];
            if (there >> 16 == address)
                age = uint.MaxValue;
            if (age > oldest)
                (oldest, place) = (age, i);
        }

        _seen[place] = now;
        Volatile.Write(ref _stations[place], station);
    }

    /// <summary>False: not seen, or not for <see cref="AgeLimit"/>.</summary>
    public bool TryFind(ulong address, uint now, out ushort port)
    {
        int first = FirstOf(address);
        for (int i = first; i < first + Ways; i++)
        {
            ulong there = Volatile.Read(ref _stations[i]);
            if (there >> 16 != address || there == 0)
                continue;
            port = (ushort)there;
            // A clock read before another thread's learning is behind it.
            return (int)(now - _seen[i]) < AgeLimit;
        }

        port = 0;
        return false;
    }

    /// <summary>The port is gone.</summary>
    public void Forget(ushort port)
    {
        for (int i = 0; i < Capacity; i++)
        {
            if ((ushort)Volatile.Read(ref _stations[i]) == port)
                Volatile.Write(ref _stations[i], 0);
        }
    }

    private static int FirstOf(ulong address) => (int)(address * 0x9E37_79B9_7F4A_7C15 >> (64 - BucketBits)) * Ways;
}
