using System.Diagnostics;

namespace KvmSharp.Fuzz.Engine;

/// <summary>Inputs for one target, one after the other, with every oracle: what escapes, broken promises, time, growth.</summary>
internal sealed class FuzzSession : IDisposable
{
    /// <summary>Far above what any input needs, also on a busy host.</summary>
    private static readonly TimeSpan s_inputLimit = TimeSpan.FromSeconds(5);

    private const int GaugeInputs = 200_000, WarmUpGauges = 2, HistoryLength = 64;
    private static readonly TimeSpan s_gaugeInterval = TimeSpan.FromSeconds(5);

    private readonly FuzzTarget _target;
    private readonly Behaviours _behaviours = new();
    private readonly FuzzScript _script;
    private readonly FuzzRandom _random;
    private readonly InputPool _pool;
    private readonly byte[] _buffer;
    private readonly Queue<byte[]> _history = new(HistoryLength);
    private readonly HashSet<string> _signatures = [];
    private IFuzzTarget _subject;
    private ProcessGauge _baseline;
    private int _gauges;
    private long _lastGauge = Stopwatch.GetTimestamp();
    private long _sinceGauge;

    internal FuzzSession(FuzzTarget target, ulong seed)
    {
        _target = target;
        _script = new FuzzScript(_behaviours);
        _random = new FuzzRandom(seed);
        _pool = new InputPool(_random, target.MaxBytes);
        _buffer = new byte[target.MaxBytes + 16];
        _subject = target.Create();
    }

    /// <summary>Told of every input before it runs, with when it starts.</summary>
    internal Action<ReadOnlyMemory<byte>, long>? Before { get; init; }

    internal Action? After { get; init; }

    internal long Iterations { get; private set; }

    internal int BehaviourCount => _behaviours.Count;

    internal IReadOnlyList<byte[]> Kept => _pool.Kept;

    /// <summary>Runs one given input and a probe behind it; what it broke, null for nothing.</summary>
    internal FuzzFinding? Replay(byte[] input)
    {
        int before = _behaviours.Count;
        Exception? error = Try(input, input.Length, probe: true);
        if (error is not null)
            return Examine(input, error);
        if (_behaviours.Count > before && input.Length <= _target.MaxBytes)
            _pool.Keep(input);
        return null;
    }

    /// <summary>Makes and runs the next input; a finding that was not made before, or null.</summary>
    internal FuzzFinding? Step()
    {
        int before = _behaviours.Count;
        int length = _pool.Next(_buffer);
        bool probe = (Hash(_buffer.AsSpan(0, length)) & (uint)(_target.ProbeEvery - 1)) == 0;
        if (_history.Count == HistoryLength)
            _history.Dequeue();
        if (_target.ProbeEvery > 1)
            _history.Enqueue(_buffer.AsSpan(0, length).ToArray());
        Exception? error = Try(_buffer, length, probe);
        if (error is not null)
            return Examine(_buffer[..length], error);
        if (_behaviours.Count > before)
            _pool.Keep(_buffer.AsSpan(0, length));
        return Gauge();
    }

    public void Dispose() => _subject.Dispose();

    private static uint Hash(ReadOnlySpan<byte> input)
    {
        uint hash = 2166136261;
        foreach (byte b in input)
            hash = (hash ^ b) * 16777619;
        return hash ^ (hash >> 16);
    }

    private Exception? Try(byte[] input, int length, bool probe)
    {
        long start = Stopwatch.GetTimestamp();
        Before?.Invoke(input.AsMemory(0, length), start);
        try
        {
            Iterations++;
            _script.Load(input, length);
            _subject.Run(_script);
            if (probe)
                _subject.Probe();
            TimeSpan took = Stopwatch.GetElapsedTime(start);
            return took <= s_inputLimit ? null : new FuzzFailure($"an input of {length} bytes took {took.TotalSeconds:0.0} s") { DependsOnTheHost = true };
        }
        catch (Exception error)
        {
            return error;
        }
        finally
        {
            After?.Invoke();
        }
    }

    /// <summary>Starts over with a fresh target; finds the guilty input and shrinks it.</summary>
    private FuzzFinding? Examine(byte[] input, Exception error)
    {
        Renew();
        string signature = Signature(error);
        // Printing a stack trace opens symbol files, which is not the target's growth.
        _gauges = 0;
        if (!_signatures.Add(signature))
            return null;
        byte[]? culprit = Fails(input, signature) ? input : _history.Reverse().FirstOrDefault(earlier => Fails(earlier, signature));
        if (culprit is null && error is FuzzFailure { DependsOnTheHost: true })
        {
            // Quick by itself: something else kept the host busy.
            _signatures.Remove(signature);
            return null;
        }

        byte[] shrunk = culprit is null ? input : Shrinker.Shrink(culprit, smaller => Fails(smaller, signature));
        _history.Clear();
        return new FuzzFinding(shrunk, error, culprit is not null);
    }

    private bool Fails(byte[] input, string signature)
    {
        Exception? error = Try(input, input.Length, probe: true);
        if (error is null)
            return false;
        Renew();
        return Signature(error) == signature;
    }

    private void Renew()
    {
        try
        {
            _subject.Dispose();
        }
        catch (Exception error)
        {
            Console.Error.WriteLine($"{_target.Name}: dispose after a failure: {error.Message}");
        }

        _subject = _target.Create();
    }

    /// <summary>The same mistake has the same kind of exception from the same place.</summary>
    private static string Signature(Exception error)
    {
        while (error is FuzzFailure { InnerException: { } inner })
            error = inner;
        string? place = error.StackTrace?.Split('\n').FirstOrDefault(line => line.Contains("KvmSharp", StringComparison.Ordinal))?.Trim();
        return error is FuzzFailure ? new string([.. error.Message.Split(':')[0].Where(c => !char.IsAsciiDigit(c))]) : $"{error.GetType().Name} {place}";
    }

    private FuzzFinding? Gauge()
    {
        if (++_sinceGauge < GaugeInputs && ((_sinceGauge & 0xFF) != 0 || Stopwatch.GetElapsedTime(_lastGauge) < s_gaugeInterval))
            return null;
        _sinceGauge = 0;
        _lastGauge = Stopwatch.GetTimestamp();
        ProcessGauge now = ProcessGauge.Read();
        // What the runtime and the fakes set up once is not growth.
        if (++_gauges <= WarmUpGauges)
            _baseline = now;
        return now.GrowthSince(_baseline) is { } growth && _signatures.Add("growth")
            ? new FuzzFinding([], new FuzzFailure($"after {Iterations} inputs {growth}"), Reproduced: false)
            : null;
    }
}
