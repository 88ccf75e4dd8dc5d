namespace KvmSharp.Fuzz.Engine;

/// <summary>Makes a failing input smaller: takes chunks out, then sets bytes to zero, as long as it fails in the same way.</summary>
internal static class Shrinker
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    /// <param name="fails">Runs an input on a fresh target: true if it fails as the original does.</param>
    internal static byte[] Shrink(byte[] input, Func<byte[], bool> fails)
    {
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        byte[] best = input;
        for (int chunk = Math.Max(1, best.Length / 2); chunk >= 1; chunk /= 2)
        {
            for (int at = 0; at + chunk <= best.Length;)
            {
                if (System.Diagnostics.Stopwatch.GetElapsedTime(start) > s_limit)
                    return best;
                byte[] without = [.. best.AsSpan(0, at), .. best.AsSpan(at + chunk)];
                if (fails(without))
                    best = without;
                else
                    at += chunk;
            }
        }

        for (int at = 0; at < best.Length && System.Diagnostics.Stopwatch.GetElapsedTime(start) <= s_limit; at++)
        {
            if (best[at] == 0)
                continue;
            byte[] zeroed = [.. best];
            zeroed[at] = 0;
            if (fails(zeroed))
                best = zeroed;
        }

        return best;
    }
}
