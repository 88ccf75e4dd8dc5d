using System.Globalization;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Paths;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Tests;

/// <summary>Where the exits of a report come from: a folder like that of KVM in debugfs, and the host's tracepoint.</summary>
public sealed class ExitCounterTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-counters-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Debugfs_MachinesOfTheProcess_AreAdded()
    {
        AddMachine(Environment.ProcessId, 12, "700\n", "30\n", "20\n", "5\n");
        AddMachine(Environment.ProcessId, 13, "1\n", "2\n", "3\n", "4\n");
        AddMachine(1, 12, "9000\n", "9000\n", "9000\n", "9000\n");
        File.WriteAllText(Path.Combine(_folder.FullName, "exits"), "9701\n");

        KvmCounts? counts = new KvmDebugfs(_folder.FullName).TryRead(Environment.ProcessId, out string problem);

        Assert.Equal(new KvmCounts(701, 32, 23, 9), counts);
        Assert.Empty(problem);
    }

    [Fact]
    public void Debugfs_MachineMadeByAnotherThread_IsTheProcesses()
    {
        KvmCounts? counts = null;
        var thread = new Thread(() =>
        {
            AddMachine(Abi.Libc.gettid(), 5, "7\n", "0\n", "0\n", "0\n");
            counts = new KvmDebugfs(_folder.FullName).TryRead(Environment.ProcessId, out _);
        });
        thread.Start();
        thread.Join();

        Assert.Equal(7, counts?.Exits);
    }

    [Fact]
    public void Debugfs_NotMounted_SaysHow()
    {
        Assert.Null(new KvmDebugfs(Path.Combine(_folder.FullName, "kvm")).TryRead(1, out string problem));

        Assert.Contains("mount -t debugfs", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Debugfs_NoMachineOfTheProcess_SaysSo()
    {
        AddMachine(1, 12, "1\n", "1\n", "1\n", "1\n");

        Assert.Null(new KvmDebugfs(_folder.FullName).TryRead(Environment.ProcessId, out string problem));

        Assert.Contains($"no machine of process {Environment.ProcessId}", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("many\n")]
    [InlineData("")]
    [InlineData("-3\n")]
    [InlineData("99999999999999999999\n")]
    public void Debugfs_CounterIsNoNumber_SaysSo(string text)
    {
        AddMachine(Environment.ProcessId, 12, text, "1\n", "1\n", "1\n");

        Assert.Null(new KvmDebugfs(_folder.FullName).TryRead(Environment.ProcessId, out string problem));

        Assert.StartsWith($"cannot read {_folder.FullName}", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Debugfs_CounterMissing_SaysSo()
    {
        AddMachine(Environment.ProcessId, 12, "1\n", "1\n", "1\n", "1\n");
        File.Delete(Path.Combine(_folder.FullName, $"{Environment.ProcessId}-12", "mmio_exits"));

        Assert.Null(new KvmDebugfs(_folder.FullName).TryRead(Environment.ProcessId, out string problem));

        Assert.Contains("mmio_exits", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Tracepoint_NoTracefs_SaysWhatItTakes()
    {
        Assert.Null(ExitTracepoint.TryFind([_folder.FullName], out string problem));

        Assert.Contains("tracefs", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Tracepoint_NumberThatTheHostDoesNotHave_SaysSo()
    {
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "events/kvm/kvm_userspace_exit"));
        File.WriteAllText(Path.Combine(_folder.FullName, "events/kvm/kvm_userspace_exit/id"), "4000000000\n");

        Assert.Null(ExitTracepoint.TryFind([_folder.FullName], out string problem));

        Assert.Contains("perf_event_open", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Sources_NoPeer_ReadTheProgramsOwnCountAndKvms()
    {
        AddMachine(Environment.ProcessId, 12, "700\n", "30\n", "20\n", "5\n");
        var sources = new ExitSources(null, new KvmDebugfs(_folder.FullName));
        using var run = new CountingRun();
        using ExitSources.Probe probe = sources.Watch(run, isPeer: false);

        ExitCounts before = probe.Read();
        AddMachine(Environment.ProcessId, 12, "800\n", "31\n", "22\n", "8\n");
        ExitCounts between = probe.Read() - before;

        Assert.Equal(new ExitCounts(10, new KvmCounts(100, 1, 2, 3)), between);
        Assert.Equal("to KvmSharp, by its own count", sources.Facts.First().Value);
        Assert.Contains(_folder.FullName, sources.Facts.Last().Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Sources_GuestWithoutKvm_HasNoExits()
    {
        var sources = new ExitSources(new QemuPeer(Accelerator: "tcg"), new KvmDebugfs(_folder.FullName));
        using var run = new CountingRun();
        using ExitSources.Probe probe = sources.Watch(run, isPeer: true);

        Assert.Equal(default, probe.Read() - probe.Read());
        Assert.Contains("without KVM", sources.Facts.First().Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Sources_KvmDoesNotSay_LeaveItOutAndSayWhy()
    {
        var sources = new ExitSources(null, new KvmDebugfs(Path.Combine(_folder.FullName, "kvm")));
        using var run = new CountingRun();
        using ExitSources.Probe probe = sources.Watch(run, isPeer: false);

        ExitCounts between = probe.Read() - probe.Read();

        Assert.Null(between.Kvm);
        Fact fact = sources.Facts.Last();
        Assert.Equal("kvm exits", fact.Name);
        Assert.StartsWith("-: ", fact.Value, StringComparison.Ordinal);
    }

    private void AddMachine(int maker, int fd, string exits, string pio, string mmio, string halts)
    {
        string machine = _folder.CreateSubdirectory(string.Create(CultureInfo.InvariantCulture, $"{maker}-{fd}")).FullName;
        File.WriteAllText(Path.Combine(machine, "exits"), exits);
        File.WriteAllText(Path.Combine(machine, "io_exits"), pio);
        File.WriteAllText(Path.Combine(machine, "mmio_exits"), mmio);
        File.WriteAllText(Path.Combine(machine, "halt_exits"), halts);
    }

    /// <summary>Every look at its exits finds ten more.</summary>
    private sealed class CountingRun : IGuestRun
    {
        private long _exits;

        public int ProcessId => Environment.ProcessId;

        public int ReadByte() => -1;

        public void Answer()
        {
        }

        public long? ReadExits() => _exits += 10;

        public CpuTimes ReadCpu() => default;

        public void Stop()
        {
        }

        public string? ReadFailure() => null;

        public void Dispose()
        {
        }
    }
}
