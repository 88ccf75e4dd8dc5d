using KvmSharp.Bench.Paths;
using KvmSharp.Bench.Report;
using KvmSharp.Core;

namespace KvmSharp.Bench.Counters;

/// <summary>Who counts the exits of a report, decided once for all its rounds: the same counter for both sides where the host has one.</summary>
internal sealed class ExitSources
{
    private const string MonitorFact = "exits", KvmFact = "kvm exits";

    private readonly KvmDebugfs _kvm;
    private readonly ExitTracepoint? _tracepoint;
    private readonly string _tracepointProblem = "";
    private readonly bool _hasPeer, _peerUsesKvm;
    private string _kvmProblem = "";

    /// <param name="peer">The other side; null: none. Without one the program's own count will do, and costs nothing.</param>
    public ExitSources(QemuPeer? peer, KvmDebugfs? kvm = null)
    {
        _kvm = kvm ?? new KvmDebugfs();
        _hasPeer = peer is not null;
        _peerUsesKvm = peer?.Accelerator == "kvm";
        if (_peerUsesKvm)
            _tracepoint = ExitTracepoint.TryFind(out _tracepointProblem);
    }

    /// <summary>What the columns count, for people, and why one is missing. Complete after the last run.</summary>
    public IEnumerable<Fact> Facts =>
    [
        new(MonitorFact, this switch
        {
            { _tracepoint: not null } => "to the VMM, both sides' counted by the host's kernel (kvm:kvm_userspace_exit)",
            { _peerUsesKvm: true } => $"to KvmSharp, by its own count; QEMU's are not known: {_tracepointProblem}",
            { _hasPeer: true } => "to KvmSharp, by its own count; QEMU runs without KVM and has none",
            _ => "to KvmSharp, by its own count",
        }),
        new(KvmFact, _kvmProblem.Length > 0 ? $"-: {_kvmProblem}" : $"all that KVM counts, its own included ({_kvm.Folder}: exits; pio io_exits, mmio mmio_exits, halts halt_exits)"),
    ];

    /// <summary>Follows one run, which the caller disposes after it.</summary>
    /// <param name="isPeer">It is the peer, whose guest may not run on KVM: then nothing counts.</param>
    public Probe Watch(IGuestRun run, bool isPeer) => new(this, run, !isPeer || _peerUsesKvm);

    /// <summary>Reads the counters of one run.</summary>
    public sealed class Probe(ExitSources sources, IGuestRun run, bool usesKvm) : IDisposable
    {
        private ExitTracepoint.Counter? _counter;

        /// <summary>Up to now: only differences mean anything. Throws <see cref="BenchException"/>.</summary>
        public ExitCounts Read() => usesKvm ? new(ReadMonitor(), ReadKvm()) : default;

        public void Dispose() => _counter?.Dispose();

        private long? ReadMonitor()
        {
            if (sources._tracepoint is not { } tracepoint)
                return run.ReadExits();
            try
            {
                // Its vCPUs are there by its first mark.
                _counter ??= tracepoint.Watch(run.ProcessId);
            }
            catch (LinuxException e)
            {
                throw new BenchException($"cannot count exits: {e.Message}");
            }

            return _counter.Read();
        }

        private KvmCounts? ReadKvm()
        {
            KvmCounts? counts = sources._kvm.TryRead(run.ProcessId, out string problem);
            if (counts is null)
                sources._kvmProblem = problem;
            return counts;
        }
    }
}
