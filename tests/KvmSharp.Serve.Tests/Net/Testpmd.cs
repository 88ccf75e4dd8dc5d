using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>DPDK's testpmd, a driver of vhost-user ports that we did not write, at its prompt. Without huge pages.</summary>
internal sealed partial class Testpmd : IDisposable
{
    private const string Prompt = "testpmd> ";
    private static int s_instances;

    private readonly Process _process;
    private readonly StringBuilder _answers = new();
    private readonly StringBuilder _log = new();
    private int _read;

    /// <param name="devices">Devices (<c>net_virtio_user0,path=...</c>); each is a port, in this order.</param>
    /// <param name="pairs">Queue pairs of each port.</param>
    /// <param name="bufferBytes">Room in a buffer for received frames.</param>
    public Testpmd(IEnumerable<string> devices, int pairs, int bufferBytes = 2048)
    {
        const int Headroom = 128, Buffers = 1024, UnscatteredBytes = 1518;
        string[] ports = [.. devices];
        string cpus = File.ReadLines("/proc/self/status").First(l => l.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)).Split('\t')[1];
        var start = new ProcessStartInfo("stdbuf",
        [
            "-oL", "dpdk-testpmd", "--lcores", $"0@({cpus}),1@({cpus})", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry", "--no-shconf",
            "--file-prefix", $"kvmsharp{Environment.ProcessId}n{Interlocked.Increment(ref s_instances)}",
            "--force-max-simd-bitwidth=512", "--log-level=pmd.net.virtio.init:info", .. ports.SelectMany(p => new[] { "--vdev", p }),
            "--", "-i", "--no-mlockall", $"--rxq={pairs}", $"--txq={pairs}", $"--mbuf-size={bufferBytes + Headroom}", $"--total-num-mbufs={Buffers * pairs * ports.Length}",
            .. bufferBytes < UnscatteredBytes ? (string[])["--enable-scatter"] : [],
        ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        Collect(_process.StandardOutput, _answers);
        Collect(_process.StandardError, _log);
        AwaitPrompt();
    }

    /// <summary>What its drivers have logged so far.</summary>
    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    /// <summary>Gives a command and waits until it is done; its answer.</summary>
    public string Run(string command)
    {
        _process.StandardInput.WriteLine(command);
        string answer = AwaitPrompt();
        Assert.DoesNotMatch("Bad arguments|Command not found|Ambiguous command|Fail:|Invalid", answer);
        return answer;
    }

    /// <summary>What each port has counted, in their order. It counts no lost frames.</summary>
    public IReadOnlyList<PortStatistics> Statistics()
    {
        string text = Run("show port stats all");
        MatchCollection ports = PortCounts().Matches(text);
        return [.. ports.Select(p => new PortStatistics(new(Number(p, "tx"), Number(p, "txbytes"), 0), new(Number(p, "rx"), Number(p, "rxbytes"), 0)))];
    }

    /// <summary>As kill -9.</summary>
    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    [GeneratedRegex(@"statistics for port \d+ .*?RX-packets: (?<rx>\d+) .*?RX-bytes: +(?<rxbytes>\d+).*?TX-packets: (?<tx>\d+) .*?TX-bytes: +(?<txbytes>\d+)", RegexOptions.Singleline)]
    private static partial Regex PortCounts();

    private static long Number(Match match, string group) => long.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    /// <summary>What was said up to the prompt.</summary>
    private string AwaitPrompt()
    {
        long deadline = Environment.TickCount64 + (long)Patience.Limit.TotalMilliseconds;
        lock (_answers)
        {
            while (true)
            {
                string answer = _answers.ToString(_read, _answers.Length - _read);
                int end = answer.IndexOf(Prompt, StringComparison.Ordinal);
                if (end >= 0)
                {
                    _read += end + Prompt.Length;
                    return answer[..end];
                }

                int left = (int)(deadline - Environment.TickCount64);
                if (left <= 0 || _process.HasExited || !Monitor.Wait(_answers, left))
                    throw new TimeoutException($"testpmd does not answer: {Log}{_answers}");
            }
        }
    }

    private static void Collect(StreamReader from, StringBuilder into) => new Thread(() =>
    {
        char[] part = new char[4096];
        int got;
        do
        {
            got = from.Read(part);
            lock (into)
            {
                into.Append(part, 0, got);
                Monitor.PulseAll(into);
            }
        }
        while (got > 0);
    }) { IsBackground = true, Name = "testpmd output" }.Start();
}
