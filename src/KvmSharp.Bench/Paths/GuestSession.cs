using System.Text;
using System.Text.Json;
using KvmSharp.Bench.Counters;

namespace KvmSharp.Bench.Paths;

/// <summary>Follows one boot of the bench guest: answers its marks and collects its results.</summary>
/// <param name="run">The guest.</param>
/// <param name="exits">Its counters.</param>
/// <param name="tap">The interface on which its network is answered.</param>
/// <param name="onBegin">Told of each workload.</param>
internal sealed class GuestSession(IGuestRun run, ExitSources.Probe exits, string tap, Action<string> onBegin) : IDisposable
{
    private const byte BeginMark = 0x02, EndMark = 0x03, PeerMark = 0x05;
    private const int MaxLineBytes = 1 << 20;

    private readonly List<PathSample> _samples = [];
    private ExitCounts _exitsBefore, _exits;
    private CpuTimes _cpuBefore, _cpu;
    private string _work = "";
    private FramePeer? _peer;
    private bool _ended;

    /// <summary>Runs the guest to its end. Throws <see cref="BenchException"/> when that is not the one it should come to.</summary>
    public List<PathSample> Run()
    {
        var line = new StringBuilder();
        for (int b; (b = run.ReadByte()) >= 0;)
        {
            if (b == BeginMark)
            {
                _exitsBefore = exits.Read();
                _cpuBefore = run.ReadCpu();
                run.Answer();
            }
            else if (b == EndMark)
            {
                _cpu = run.ReadCpu() - _cpuBefore;
                _exits = exits.Read() - _exitsBefore;
                run.Answer();
            }
            else if (b == PeerMark)
            {
                _peer = new FramePeer(tap, _work);
                run.Answer();
            }
            else if (b == '\n')
            {
                OnLine(line.ToString().TrimEnd('\r'));
                line.Clear();
            }
            else if (line.Length < MaxLineBytes)
            {
                line.Append((char)b);
            }
        }

        if (run.ReadFailure() is { } failure)
            throw new BenchException(failure);
        return _ended ? _samples : throw new BenchException("the bench guest ended before it was done");
    }

    public void Dispose() => EndPeer();

    private void OnLine(string line)
    {
        if (PathSample.Parse(line, _exits, _cpu) is { } sample)
        {
            EndPeer();
            _samples.Add(sample);
            return;
        }

        using JsonDocument document = JsonDocument.Parse(line);
        JsonElement root = document.RootElement;
        if (root.TryGetProperty("begin", out JsonElement begin))
        {
            _work = begin.GetString()!;
            onBegin($"{root.GetProperty("path").GetString()} {_work}");
        }
        else if (root.TryGetProperty("broken", out JsonElement broken))
            throw new BenchException($"the bench guest cannot use {broken.GetString()}: {root.GetProperty("problem").GetString()}");
        else if (root.TryGetProperty("end", out _))
            _ended = true;
    }

    private void EndPeer()
    {
        _peer?.Dispose();
        _peer = null;
    }
}
