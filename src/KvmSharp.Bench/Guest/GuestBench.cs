using System.Globalization;
using System.Runtime.ExceptionServices;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Paths;
using KvmSharp.Bench.Report;
using KvmSharp.Core;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Bench.Guest;

/// <summary><c>bench guest</c>: boots a Linux guest again and again, for each path, the sides in turn, and condenses what its script prints.</summary>
public sealed class GuestBench(GuestOptions options, ILoggerFactory loggers, Action<string> progress)
{
    private const string OurSide = "kvmsharp", PeerSide = "qemu";
    private const int MemoryMib = 768;

    /// <summary>Hosts without virtualization hardware of their own lose a guest now and then, of any VMM.</summary>
    private const int Attempts = 3;

    /// <summary>A boot on such a host; and how much longer than planned a workload may take there.</summary>
    private const int BootMs = 120_000, PatienceFactor = 8;

    private readonly List<(string Side, GuestSample Sample)> _samples = [];
    private readonly ExitSources _exits = new(options.Peer);
    private int _lost;

    /// <summary>Throws <see cref="BenchException"/> when a side fails, <see cref="OperationCanceledException"/> when cancelled.</summary>
    public BenchReport Run(CancellationToken cancel)
    {
        // A thread of its own, as its network is: what it starts shares that, and it goes with them.
        ExceptionDispatchInfo? failure = null;
        Thread thread = HostThread.Create("bench guests", ThreadRole.Control, () =>
        {
            try
            {
                RunRounds(cancel);
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return new BenchReport("guest", HostFacts.Read(), Settings(), Condense());
    }

    private void RunRounds(CancellationToken cancel)
    {
        using GuestNetwork? network = options.Paths.Any(p => p.IsNetwork) ? new GuestNetwork() : null;
        DirectoryInfo folder = Directory.CreateTempSubdirectory("kvmsharp-bench-");
        try
        {
            string? disk = options.Paths.All(p => p.IsNetwork) ? null : options.Disk ?? BenchScratch.MakeDisk(folder);
            for (int round = 0; round < options.Rounds; round++)
            {
                // Who begins changes, so that a host that warms up or tires favours nobody.
                string[] sides = options.Peer is null ? [OurSide] : round % 2 == 0 ? [OurSide, PeerSide] : [PeerSide, OurSide];
                foreach (GuestPath path in options.Paths)
                {
                    foreach (string side in sides)
                        RunGuest($"round {round + 1} of {options.Rounds}, {side}, {path.Name}", side, path, path.IsNetwork ? GuestNetwork.Tap : disk!, cancel);
                }
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private void RunGuest(string what, string side, GuestPath path, string end, CancellationToken cancel)
    {
        for (int attempt = 1; ; attempt++)
        {
            cancel.ThrowIfCancellationRequested();
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            try
            {
                using IGuestRun run = side == OurSide ? new KvmSharpRun(Machine(path, end), loggers) : new QemuRun(options.Peer!.Program, PeerArguments(path, end), okStatus: 0);
                limit.CancelAfter(BootMs + (path.Works.Count * (options.Seconds + 1) * 1000 * PatienceFactor));
                using CancellationTokenRegistration stop = limit.Token.Register(run.Stop);
                using ExitSources.Probe exits = _exits.Watch(run, isPeer: side != OurSide);
                var session = new LinuxSession(run, exits, path, path.IsNetwork ? GuestNetwork.CountPackets : null, result => progress($"{what}: {result}"));
                foreach (GuestSample sample in session.Run())
                    _samples.Add((side, sample));
                return;
            }
            catch (BenchException e)
            {
                cancel.ThrowIfCancellationRequested();
                string problem = limit.IsCancellationRequested ? "the guest does not come to its end" : e.Message;
                if (attempt == Attempts)
                    throw new BenchException($"{side}, {path.Name}: {problem}");
                _lost++;
                progress($"{what}: {problem}; it runs again");
            }
        }
    }

    private MachineConfig Machine(GuestPath path, string end) => new()
    {
        Name = "bench",
        Boot = new BootConfig { KernelPath = options.Kernel, InitrdPath = options.Initrd, Append = CommandLine(path) },
        Memory = new MemoryConfig { SizeBytes = (ulong)MemoryMib << 20 },
        Serials = [new SerialConfig(0, new CharConfig(CharKind.Null))],
        NoReboot = true,
        KvmDevice = options.KvmDevice,
        Devices = [path.Device(end)],
    };

    private List<string> PeerArguments(GuestPath path, string end) =>
    [
        "-M", "pc", "-accel", options.Peer!.Accelerator, "-cpu", options.Peer.Accelerator == "kvm" ? "host" : "max", "-m", $"{MemoryMib}", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", options.Kernel, "-initrd", options.Initrd, "-append", CommandLine(path),
        .. path.PeerArguments.Select(a => a.Replace("{end}", end.Replace(",", ",,", StringComparison.Ordinal), StringComparison.Ordinal)),
    ];

    private string CommandLine(GuestPath path) => string.Create(CultureInfo.InvariantCulture,
        $"console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=script bench.marks=1 bench.tests={string.Join(',', path.Works.Select(w => w.Test))} bench.seconds={options.Seconds}");

    private List<Fact> Settings()
    {
        List<Fact> settings =
        [
            new("rounds", options.Rounds.ToString(CultureInfo.InvariantCulture)),
            new("measured", string.Create(CultureInfo.InvariantCulture, $"{options.Seconds} s a workload")),
            new("kernel", options.Kernel),
        ];
        if (options.Peer is { } peer)
            settings.Add(new("peer", $"{peer.Program} with {peer.Accelerator}"));
        settings.AddRange(_exits.Facts);
        if (_lost > 0)
            settings.Add(new("guests lost and run again", _lost.ToString(CultureInfo.InvariantCulture)));
        return settings;
    }

    private List<Series> Condense()
    {
        bool guestIsTold = _samples.Exists(s => s.Sample.Cpu.Guest > 0);
        return [.. _samples.GroupBy(s => (s.Sample.Path, s.Sample.Work, s.Side)).Select(g => Condense(g.Key.Side, guestIsTold, [.. g.Select(s => s.Sample)]))
            .OrderBy(s => _samples.FindIndex(x => x.Sample.Work.Name == s.Work)).ThenBy(s => _samples.FindIndex(x => x.Sample.Path.Name == s.Path)).ThenBy(s => s.Side, StringComparer.Ordinal)];
    }

    private static Series Condense(string side, bool guestIsTold, List<GuestSample> samples)
    {
        List<Metric> metrics = [new(samples[0].Work.Figure, samples[0].Work.Unit, true, [.. samples.Select(s => s.Rate)])];
        RoundCost[] rounds = [.. samples.Select(s => new RoundCost(s.Exits, s.Cpu, s.Operations))];
        metrics.AddRange(ExitMetrics.Of(rounds));
        metrics.AddRange(CpuSplit.Metrics(guestIsTold, rounds));
        return new Series(side, samples[0].Path.Name, samples[0].Work.Name, "", metrics, []);
    }
}
