using System.Diagnostics;

namespace KvmSharp.Bench.VhostUser;

/// <summary>
/// Front end and driver of vhost-user disks without a guest: 4 KiB requests at random places through one split vring with event index, so many in flight,
/// completions polled for as a poll-mode driver does. What it measures is the back end.
/// </summary>
public sealed class BlkLoad(BlkLoadOptions options)
{
    /// <summary>Longest that no request is finished before the back end counts as dead.</summary>
    private const int PatienceMs = 10_000;

    /// <summary>Requests per second of each disk. Throws <see cref="BenchException"/> if a back end fails one or stops answering.</summary>
    public double[] Run(CancellationToken cancel)
    {
        var disks = new BlkFrontEnd[options.Sockets.Count];
        try
        {
            for (int i = 0; i < disks.Length; i++)
                disks[i] = new BlkFrontEnd(options.Sockets[i], options.Depth, options.Write);
            Drive(disks, new long[disks.Length], options.Seconds * 200, cancel);
            long[] finished = new long[disks.Length];
            long before = Stopwatch.GetTimestamp();
            Drive(disks, finished, options.Seconds * 1000, cancel);
            double seconds = Stopwatch.GetElapsedTime(before).TotalSeconds;
            long failed = disks.Sum(d => d.Driver.Failed);
            return failed == 0 ? [.. finished.Select(f => f / seconds)] : throw new BenchException($"{failed} requests failed");
        }
        finally
        {
            foreach (BlkFrontEnd? disk in disks)
                disk?.Dispose();
        }
    }

    private static void Drive(BlkFrontEnd[] disks, long[] finished, int milliseconds, CancellationToken cancel)
    {
        const int TurnsPerClock = 256;
        int rounds = Math.Max(1, TurnsPerClock / disks.Length);
        long start = Environment.TickCount64, last = start;
        for (long now = start; now - start < milliseconds; now = Environment.TickCount64)
        {
            cancel.ThrowIfCancellationRequested();
            int some = 0;
            for (int round = 0; round < rounds; round++)
            {
                for (int i = 0; i < disks.Length; i++)
                {
                    int count = disks[i].Driver.Turn();
                    finished[i] += count;
                    some += count;
                }
            }

            last = some > 0 ? now : last;
            if (now - last > PatienceMs)
                throw new BenchException($"the back end has not finished a request for {PatienceMs / 1000} s");
        }
    }
}
