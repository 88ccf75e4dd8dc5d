using System.Diagnostics;

namespace KvmSharp.Serve.Tests;

/// <summary>Waits for what happens on other threads and in other processes, long enough for any machine.</summary>
internal static class Patience
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>Throws <see cref="TimeoutException"/> with the state if the condition does not come true.</summary>
    public static void Await(Func<bool> condition, Func<string> state)
    {
        Stopwatch waited = Stopwatch.StartNew();
        while (!condition())
        {
            if (waited.Elapsed > Limit)
                throw new TimeoutException(state());
            Thread.Sleep(5);
        }
    }
}
