namespace KvmSharp.Machine.Config;

/// <summary>Finds what a misspelt word was meant to be.</summary>
public static class Suggestion
{
    /// <summary>The candidate with the least edit distance, if that is small for the word's length; else null.</summary>
    public static string? Closest(string word, IEnumerable<string> candidates)
    {
        string? best = null;
        int bestDistance = (word.Length < 4 ? 1 : Math.Max(2, word.Length / 3)) + 1;
        foreach (string candidate in candidates)
        {
            int distance = candidate.StartsWith(word, StringComparison.OrdinalIgnoreCase) && word.Length > 1 ? 1 : Distance(word.ToLowerInvariant(), candidate);
            if (distance < bestDistance)
                (best, bestDistance) = (candidate, distance);
        }

        return best;
    }

    private static int Distance(string a, string b)
    {
        if (a.Length > 64)
            return int.MaxValue;
        int[] previous = new int[b.Length + 1];
        int[] current = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++)
            previous[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            current[0] = i;
            for (int j = 1; j <= b.Length; j++)
                current[j] = Math.Min(Math.Min(previous[j], current[j - 1]) + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
            (previous, current) = (current, previous);
        }

        return previous[b.Length];
    }
}
