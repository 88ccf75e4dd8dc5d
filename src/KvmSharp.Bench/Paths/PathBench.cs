using System.Globalization;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Report;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Bench.Paths;

/// <summary><c>bench paths</c>: boots the bench guest again and again, the sides in turn, and condenses what it prints.</summary>
public sealed class PathBench(PathOptions options, ILoggerFactory loggers, Action<string> progress)
{
    private const string OurSide = "kvmsharp", PeerSide = "qemu";
    private const double NanosecondsPerSecond = 1e9;

    /// <summary>How much longer than planned a boot may take: its workloads, its firmware, an emulated host.</summary>
    private const int PatienceFactor = 4, PatienceMs = 120_000, WorkloadLimit = 64;

    private readonly List<(string Side, PathSample Sample)> _samples = [];
    private readonly ExitSources _exits = new(options.Peer);

    /// <summary>Throws <see cref="BenchException"/> when a side fails, <see cref="OperationCanceledException"/> when cancelled.</summary>
    public BenchReport Run(CancellationToken cancel)
    {
        using var scratch = new BenchScratch(options);
        for (int round = 0; round < options.Rounds; round++)
        {
            // Who begins changes, so that a host that warms up or tires favours nobody.
            string[] sides = options.Peer is null ? [OurSide] : round % 2 == 0 ? [OurSide, PeerSide] : [PeerSide, OurSide];
            foreach (string side in sides)
            {
                foreach (PathModel model in Enum.GetValues<PathModel>())
                    RunSide(side, model, round, scratch, cancel);
            }
        }

        return new BenchReport("paths", HostFacts.Read(), Settings(), Condense());
    }

    private void RunSide(string side, PathModel model, int round, BenchScratch scratch, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        string words = string.Create(CultureInfo.InvariantCulture, $"warmup={options.WarmupMs} measure={options.MeasureMs} marks{(options.WithNet && FramePeer.IsAllowed ? " peer" : "")}");
        using IGuestRun run = side == OurSide ? new KvmSharpRun(options, model, scratch, words, loggers) : new QemuRun(options, model, options.Peer!, scratch, words);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(((options.WarmupMs + options.MeasureMs) * PatienceFactor * WorkloadLimit) + PatienceMs);
        using CancellationTokenRegistration stop = limit.Token.Register(run.Stop);
        try
        {
            using ExitSources.Probe exits = _exits.Watch(run, isPeer: side != OurSide);
            using var session = new GuestSession(run, exits, scratch.Tap, what => progress($"round {round + 1} of {options.Rounds}, {side}: {what}"));
            _samples.AddRange(session.Run().Select(sample => (side, sample)));
        }
        catch (BenchException e)
        {
            cancel.ThrowIfCancellationRequested();
            throw new BenchException(limit.IsCancellationRequested ? $"{side}: the bench guest does not come to its end" : $"{side}: {e.Message}");
        }
    }

    private List<Fact> Settings()
    {
        List<Fact> settings = [new("rounds", Text(options.Rounds)), new("warm-up", $"{Text(options.WarmupMs)} ms"), new("measured", $"{Text(options.MeasureMs)} ms a workload")];
        if (options.Peer is { } peer)
            settings.Add(new("peer", $"{peer.Program} with {peer.Accelerator}"));
        settings.AddRange(_exits.Facts);
        return settings;
    }

    private List<Series> Condense()
    {
        bool guestIsTold = _samples.Exists(s => s.Sample.Cpu.Guest > 0);
        return [.. _samples.GroupBy(s => (s.Sample.Path, s.Sample.Work, s.Sample.Completion, s.Side)).Select(g => Condense(g.Key.Side, guestIsTold, [.. g.Select(s => s.Sample)]))
            .OrderBy(s => _samples.FindIndex(x => x.Sample.Path == s.Path && x.Sample.Work == s.Work && x.Sample.Completion == s.Completion)).ThenBy(s => s.Side, StringComparer.Ordinal)];
    }

    private static Series Condense(string side, bool guestIsTold, List<PathSample> samples)
    {
        List<Metric> metrics =
        [
            new("rate", "1/s", true, [.. samples.Select(s => s.Operations * NanosecondsPerSecond / s.Nanoseconds)]),
            new("throughput", "MB/s", true, [.. samples.Select(s => s.Bytes * 1000 / s.Nanoseconds)]),
        ];
        if (samples.TrueForAll(s => s.Operations > 0))
        {
            metrics.Add(new("p50", "us", false, [.. samples.Select(s => Percentile(s.Latency, 0.50) / 1000)]));
            metrics.Add(new("p99", "us", false, [.. samples.Select(s => Percentile(s.Latency, 0.99) / 1000)]));
            metrics.Add(new("interrupts", "per op", false, [.. samples.Select(s => (double)s.Interrupts / s.Operations)]));
            RoundCost[] rounds = [.. samples.Select(s => new RoundCost(s.Exits, s.Cpu, s.Operations))];
            metrics.AddRange(ExitMetrics.Of(rounds));
            metrics.AddRange(CpuSplit.Metrics(guestIsTold, rounds));
        }

        if (samples.Exists(s => s.Errors > 0))
            metrics.Add(new("errors", "", false, [.. samples.Select(s => (double)s.Errors)]));
        LatencyBucket[] latency = [.. samples.SelectMany(s => s.Latency).GroupBy(b => b.Nanoseconds).Select(b => new LatencyBucket(b.Key, b.Sum(x => x.Count))).OrderBy(b => b.Nanoseconds)];
        return new Series(side, samples[0].Path, samples[0].Work, samples[0].Completion, metrics, latency);
    }

    /// <summary>The bucket that this part of all operations lies in or below, in nanoseconds.</summary>
    private static double Percentile(IReadOnlyList<LatencyBucket> latency, double part)
    {
        long left = (long)Math.Ceiling(latency.Sum(b => b.Count) * part);
        foreach (LatencyBucket bucket in latency)
        {
            left -= bucket.Count;
            if (left <= 0)
                return bucket.Nanoseconds;
        }

        return 0;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
