using System.Text;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Guest;
using KvmSharp.Bench.Paths;

namespace KvmSharp.Bench.Tests;

/// <summary>What <c>bench guest</c> makes of a console's output.</summary>
public sealed class LinuxSessionTests
{
    private const string End = "KVMSHARP script_status=0\r\n";

    private static readonly GuestPath s_net = GuestPath.All.First(p => p.Name == "e1000"), s_disk = GuestPath.All.First(p => p.Name == "ide");

    [Fact]
    public void Run_NetworkGuest_GivesEveryResultWithItsCounts()
    {
        var run = new ScriptedRun("[    0.1] hello\r\n\u0002NET tcp_out 45689\r\n\u0003\u0002NET tcp_in 167818\r\n\u0003\u0002NET udp64_out 2743\r\nNET udp64_sent 9000\r\n\u0003\u0002NET round_trip 3210\r\n\u0003" + End);
        long packets = 0;

        List<GuestSample> samples = Follow(run, s_net, () => packets += 50);

        Assert.Equal(["tcp-out", "tcp-in", "send-64", "round-trip"], samples.Select(s => s.Work.Name));
        Assert.Equal([45.689, 167.818, 2743, 3210], samples.Select(s => s.Rate));
        Assert.All(samples, s => Assert.Equal((50, 7), (s.Operations, s.Exits.Monitor)));
        Assert.Equal(8, run.Answers);
    }

    [Fact]
    public void Run_DiskGuest_TakesItsOwnCount()
    {
        List<GuestSample> samples = Follow(new ScriptedRun("\u0002NET read4k 105\r\nNET read4k_done 420\r\n\u0003" + End), s_disk);

        Assert.Equal((105, 420), (samples[0].Rate, samples[0].Operations));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\u0002NET read4k 105\n\u0003")]
    [InlineData("\u0002NET read4k\n\u0003" + End)]
    [InlineData("\u0002NET read4k many\n\u0003" + End)]
    [InlineData("\u0002NET read4k -5\n\u0003" + End)]
    [InlineData("\u0002NET read4k 0\n\u0003" + End)]
    [InlineData("\u0002NET tcp_out 5\n\u0003" + End)]
    [InlineData("NET read4k 105\n" + End)]
    [InlineData("\u0003\u0003\n" + End)]
    [InlineData("Kernel panic\u001b[2J\n")]
    public void Run_NoResultOrNoEnd_IsAnErrorOfOneLine(string output)
    {
        BenchException error = Assert.Throws<BenchException>(() => Follow(new ScriptedRun(output), s_disk));

        Assert.DoesNotContain(error.Message, c => char.IsControl(c));
    }

    [Fact]
    public void Run_EndlessLine_IsCut()
    {
        string output = new string('x', 1 << 20) + "\n\u0002NET read4k 1\n\u0003" + End;

        Assert.Single(Follow(new ScriptedRun(output), s_disk));
    }

    [Fact]
    public void Run_VmmFails_SaysItsReason() =>
        Assert.Equal("triple fault", Assert.Throws<BenchException>(() => Follow(new ScriptedRun("", "triple fault"), s_disk)).Message);

    [Fact]
    public void ParsePackets_OfProcNetDev_AddsBothWays()
    {
        string[] lines =
        [
            "Inter-|   Receive                                                |  Transmit", " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed",
            "    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0",
            "bench0: 5000      40    0    0    0     0          0         0     7000      2    0    0    0     0       0          0",
        ];

        Assert.Equal(42, GuestNetwork.ParsePackets(lines, "bench0"));
        Assert.Equal(0, GuestNetwork.ParsePackets(lines, "bench1"));
        Assert.Equal(0, GuestNetwork.ParsePackets(["bench0: 1 2 3"], "bench0"));
    }

    private static List<GuestSample> Follow(ScriptedRun run, GuestPath path, Func<long>? countPackets = null)
    {
        using ExitSources.Probe exits = new ExitSources(peer: null).Watch(run, isPeer: false);
        return new LinuxSession(run, exits, path, countPackets, _ => { }).Run();
    }

    /// <summary>Prints what it was given; every look at its exits finds seven more.</summary>
    private sealed class ScriptedRun(string output, string? failure = null) : IGuestRun
    {
        private readonly byte[] _output = Encoding.Latin1.GetBytes(output);
        private int _next;
        private long _exits;

        public int Answers { get; private set; }

        public int ReadByte() => _next < _output.Length ? _output[_next++] : -1;

        public void Answer() => Answers++;

        public int ProcessId => Environment.ProcessId;

        public long? ReadExits() => _exits += 7;

        public CpuTimes ReadCpu() => default;

        public void Stop()
        {
        }

        public string? ReadFailure() => failure;

        public void Dispose()
        {
        }
    }
}
