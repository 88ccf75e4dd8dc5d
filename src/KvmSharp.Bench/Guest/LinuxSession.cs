using System.Globalization;
using System.Text;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Paths;
using KvmSharp.Machine.Config;

namespace KvmSharp.Bench.Guest;

/// <summary>Follows one boot of a Linux guest: answers the marks around its workloads and collects its results among whatever else it prints.</summary>
/// <param name="exits">Its counters.</param>
/// <param name="countPackets">Packets through the tap up to now; null on a disk's path.</param>
internal sealed class LinuxSession(IGuestRun run, ExitSources.Probe exits, GuestPath path, Func<long>? countPackets, Action<string> onResult)
{
    private const byte BeginMark = 0x02, EndMark = 0x03;
    private const int MaxLineBytes = 4096, ComplaintLimit = 200;
    private const string ResultWord = "NET", CountSuffix = "_done";

    private readonly List<GuestSample> _samples = [];
    private readonly StringBuilder _line = new();
    private ExitCounts _exitsBefore;
    private CpuTimes _cpuBefore;
    private long _packetsBefore, _reads;
    private (GuestWork Work, double Rate)? _result;
    private string _last = "";
    private bool _ended;

    /// <summary>Runs the guest to its end. Throws <see cref="BenchException"/> when that is not the one it should come to.</summary>
    public List<GuestSample> Run()
    {
        for (int b; (b = run.ReadByte()) >= 0;)
            OnByte(b);
        if (run.ReadFailure() is { } failure)
            throw new BenchException(failure);
        string[] missing = [.. path.Works.Where(w => !_samples.Exists(s => s.Work == w)).Select(w => w.Name)];
        if (!_ended || missing.Length > 0)
            throw new BenchException($"the guest gave no result for {string.Join(", ", missing.DefaultIfEmpty("its script"))}; its last line: '{Printable.Line(_last)}'");
        return _samples;
    }

    private void OnByte(int b)
    {
        switch (b)
        {
            case BeginMark:
                _result = null;
                _reads = 0;
                _packetsBefore = countPackets?.Invoke() ?? 0;
                _exitsBefore = exits.Read();
                _cpuBefore = run.ReadCpu();
                run.Answer();
                break;
            case EndMark:
                CpuTimes cpu = run.ReadCpu() - _cpuBefore;
                AddSample(countPackets is null ? _reads : countPackets() - _packetsBefore, exits.Read() - _exitsBefore, cpu);
                run.Answer();
                break;
            case '\n':
                OnLine(_line.ToString().TrimEnd('\r'));
                _line.Clear();
                break;
            default:
                if (_line.Length < MaxLineBytes)
                    _line.Append((char)b);
                break;
        }
    }

    private void AddSample(long operations, ExitCounts left, CpuTimes cpu)
    {
        if (_result is not { } result)
            return;
        _result = null;
        _samples.Add(new GuestSample(path, result.Work, result.Rate, operations, left, cpu));
        onResult($"{result.Work.Name} {result.Rate.ToString("F0", CultureInfo.InvariantCulture)} {result.Work.Unit}");
    }

    private void OnLine(string line)
    {
        if (line.Length > 0)
            _last = line.Length <= ComplaintLimit ? line : line[..ComplaintLimit];
        if (line == "KVMSHARP script_status=0")
            _ended = true;
        if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [ResultWord, var test, var text] ||
            !double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) || !double.IsFinite(value))
            return;
        if (GuestWork.Find(test) is { } work && path.Works.Contains(work) && value > 0)
            _result = (work, value / work.Divisor);
        else if (test.EndsWith(CountSuffix, StringComparison.Ordinal))
            _reads = (long)Math.Min(value, long.MaxValue / 2);
    }
}
