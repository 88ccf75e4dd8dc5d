using System.Diagnostics;
using KvmSharp.Core;

namespace KvmSharp.Fuzz.Engine;

/// <summary>Ends the process when one input takes for ever; its journal then holds the input.</summary>
internal sealed class Watchdog : IDisposable
{
    internal const int HangStatus = 3;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;
    private readonly string _target;
    private long _started;

    internal Watchdog(string target)
    {
        _target = target;
        _thread = HostThread.Create("fuzz-watchdog", ThreadRole.Runtime, Watch);
        _thread.Start();
    }

    internal void Begin(long timestamp) => Volatile.Write(ref _started, timestamp);

    internal void End() => Volatile.Write(ref _started, 0);

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Watch()
    {
        while (!_stop.Wait(1000))
        {
            long started = Volatile.Read(ref _started);
            if (started == 0 || Stopwatch.GetElapsedTime(started) < s_limit)
                continue;
            Console.Error.WriteLine($"{_target}: an input does not end within {s_limit.TotalSeconds:0} s");
            Environment.Exit(HangStatus);
        }
    }
}
