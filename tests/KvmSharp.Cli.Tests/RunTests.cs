using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using KvmSharp.Cli.Tests.Support;
using KvmSharp.TestKit;
using Mono.Unix.Native;

namespace KvmSharp.Cli.Tests;

/// <summary>Real guests, tiny ones, through the whole program.</summary>
public sealed class RunTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Run_GuestPowersOff_StatusIsZero() => Assert.Equal(0, Finish(TestKernel.PowerOff).Status);

    [Fact]
    public void Run_DebugExit_StatusIsOdd() => Assert.Equal(TestKernel.ExitStatus, Finish(TestKernel.Exit, "--debug-exit").Status);

    [Fact]
    public void Run_TripleFaultWithNoReboot_StatusIsGuestFailed()
    {
        CliResult result = Finish(TestKernel.TripleFault, "--no-reboot");

        Assert.Equal(6, result.Status);
        Assert.Contains("triple fault", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_Serial_ReachesStandardOutput() => Assert.Equal("hi", Finish(TestKernel.Hello, "--debug-exit").Output);

    [Fact]
    public void Run_SerialFile_HoldsTheOutput()
    {
        Finish(TestKernel.Hello, "--debug-exit", "--serial", "file:" + _scratch["out"]);

        Assert.Equal("hi", File.ReadAllText(_scratch["out"]));
    }

    [Fact]
    public void Run_DebugConsole_ReachesStandardOutput() => Assert.Equal("hi", Finish(TestKernel.DebugHello, "--debug-exit", "--debug-console").Output);

    [Fact]
    public void Run_StandardInput_ReachesTheGuest()
    {
        using Process process = Start(TestKernel.Echo, "--debug-exit");
        process.StandardInput.Write("ab\u0001xq");
        process.StandardInput.Close();

        CliResult result = CliProgram.Finish(process);

        // Without a terminal there is no escape key.
        Assert.Equal("ab\u0001xq", result.Output);
        Assert.Equal(TestKernel.ExitStatus, result.Status);
    }

    [Fact]
    public void Run_StandardOutputClosed_GuestGoesOn()
    {
        string kernel = _scratch.Write("kernel", TestKernel.Flood);

        CliResult result = CliProgram.Finish(CliProgram.StartShell("{ \"$@\"; echo $? >&2; } | exec 0<&- true", "run", "--kernel", kernel, "--debug-exit"));

        Assert.Equal($"{TestKernel.ExitStatus}\n", result.Error);
    }

    [Fact]
    public void Run_SlowReader_GetsEverything()
    {
        string kernel = _scratch.Write("kernel", TestKernel.Flood);

        CliResult result = CliProgram.Finish(CliProgram.StartShell("\"$@\" | { sleep 1; wc -c; }", "run", "--kernel", kernel, "--debug-exit"));

        Assert.Equal("20000", result.Output.Trim());
    }

    [Fact]
    public void Run_SigTermAndDeafGuest_StopsAfterGrace()
    {
        using Process process = StartAndWaitForOk("--grace", "200ms");
        CliProgram.Signal(process, Signum.SIGTERM);

        CliResult result = CliProgram.Finish(process);

        Assert.Equal(10, result.Status);
        Assert.Contains("did not power off within 0.2 s", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_SecondSigTerm_StopsAtOnce()
    {
        using Process process = StartAndWaitForOk("--grace", "1000s");
        CliProgram.Signal(process, Signum.SIGTERM);
        Thread.Sleep(200);
        CliProgram.Signal(process, Signum.SIGTERM);

        CliResult result = CliProgram.Finish(process);

        Assert.Equal(10, result.Status);
        Assert.Empty(result.Error);
    }

    [Fact]
    public void Run_SigHup_StopsAtOnce()
    {
        using Process process = StartAndWaitForOk("--grace", "1000s");
        CliProgram.Signal(process, Signum.SIGHUP);

        Assert.Equal(10, CliProgram.Finish(process).Status);
    }

    [Fact]
    public void Run_PidFile_HoldsTheProcessAndIsRemoved()
    {
        string pidFile = _scratch["pid"];
        using Process process = StartAndWaitForOk("--pidfile", pidFile);
        string held = File.ReadAllText(pidFile);
        CliResult second = CliProgram.Run("run", "--kernel", _scratch["kernel"], "--pidfile", pidFile, "--serial", "none");
        CliProgram.Signal(process, Signum.SIGHUP);
        int id = process.Id;
        CliProgram.Finish(process);

        Assert.Equal($"{id}\n", held);
        Assert.Equal(2, second.Status);
        Assert.Contains($"is held by process {id}", second.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(pidFile));
        Assert.Equal(["kernel"], Directory.GetFiles(_scratch.Root).Select(Path.GetFileName));
    }

    [Fact]
    public void Run_Trace_HoldsTheGuestsExits()
    {
        string trace = _scratch["trace.json"];

        Assert.Equal("hi", Finish(TestKernel.Hello, "--debug-exit", "--trace", trace).Output);

        TraceDocument document = TraceDocument.Read(trace);
        Assert.Equal(2, document.OfCategory("exit").Count(e => TraceDocument.Text(e, "name") == "KVM_EXIT_IO com1"));
        Assert.Equal(0, document.Lost);
    }

    [Theory]
    [InlineData(Signum.SIGHUP)]
    [InlineData(Signum.SIGKILL)]
    public void Run_TracedAndEndedFromOutside_TraceIsWhole(Signum signal)
    {
        string trace = _scratch["trace.json"];
        using Process process = StartAndWaitForOk("--trace", trace);
        Assert.True(SpinWait.SpinUntil(() => TraceDocument.ReadGrowing(trace).OfCategory("exit").Length > 0, CliProgram.TimeoutMs));
        CliProgram.Signal(process, signal);
        CliProgram.Finish(process);

        Assert.NotEmpty(TraceDocument.Read(trace).OfCategory("exit"));
    }

    [Fact]
    public void Run_TraceOfAMachineThatCannotBe_LeavesNoFile()
    {
        string trace = _scratch["trace.json"];

        Assert.Equal(4, CliProgram.Run("run", "--kernel", _scratch.Write("kernel", TestKernel.Exit), "--trace", trace, "--kvm-device", _scratch["kvm"]).Status);
        Assert.False(File.Exists(trace));
    }

    [Fact]
    public void Run_StalePidFile_IsTakenOver()
    {
        string pidFile = _scratch.Write("pid", "4194304\n");

        Assert.Equal(TestKernel.ExitStatus, Finish(TestKernel.Exit, "--debug-exit", "--pidfile", pidFile).Status);
        Assert.False(File.Exists(pidFile));
    }

    [Fact]
    public void Run_PidFileIsSomethingElse_IsLeftAlone()
    {
        string file = _scratch.Write("pid", "my notes\n");

        Assert.Equal(2, Finish(TestKernel.Exit, "--pidfile", file).Status);
        Assert.Equal("my notes\n", File.ReadAllText(file));
    }

    [Fact]
    public void Run_UnixSerial_TalksAndIsRemoved()
    {
        string path = _scratch["sock"];
        using Process process = Start(TestKernel.Echo, "--debug-exit", "--serial", "unix:" + path);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(path), CliProgram.TimeoutMs));
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Assert.True(SpinWait.SpinUntil(() => TryConnect(client, path), CliProgram.TimeoutMs));
        client.Send("hello q"u8);

        CliResult result = CliProgram.Finish(process);

        byte[] answer = new byte[64];
        int count = 0;
        for (int got; count < answer.Length && (got = client.Receive(answer.AsSpan(count))) > 0;)
            count += got;
        Assert.Equal("hello q", Encoding.ASCII.GetString(answer, 0, count));
        Assert.Equal(TestKernel.ExitStatus, result.Status);
        Assert.False(File.Exists(path));
    }

    private static bool TryConnect(Socket client, string path)
    {
        try
        {
            client.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            Thread.Sleep(10);
            return false;
        }
    }

    private Process Start(byte[] kernel, params string[] args) => CliProgram.Start(["run", "--kernel", _scratch.Write("kernel", kernel), "--memory", "32M", .. args]);

    private CliResult Finish(byte[] kernel, params string[] args) => CliProgram.Finish(Start(kernel, args));

    private Process StartAndWaitForOk(params string[] args)
    {
        Process process = Start(TestKernel.SayAndHang, args);
        Assert.Equal('o', process.StandardOutput.Read());
        Assert.Equal('k', process.StandardOutput.Read());
        return process;
    }
}
