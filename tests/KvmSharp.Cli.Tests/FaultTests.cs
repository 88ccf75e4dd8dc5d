using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using KvmSharp.Cli.Tests.Support;
using Mono.Unix.Native;

namespace KvmSharp.Cli.Tests;

/// <summary>What the host takes from a running program: memory, descriptors, time. The table of docs/reliability.md names these tests.</summary>
public sealed class FaultTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    private readonly List<Process> _started = [];

    /// <summary>A failed test leaves no guest behind: this one polls its port for ever.</summary>
    public void Dispose()
    {
        foreach (Process process in _started)
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }

        _scratch.Dispose();
    }

    [Fact]
    public void Memory_FileBehindItIsCut_EndsWithOneLine()
    {
        Process process = StartEcho();
        // What the guest's processor or the program touches next is gone.
        using (FileStream memory = OpenGuestMemory(process))
            memory.SetLength(0);
        process.StandardInput.Write("x");
        process.StandardInput.Flush();

        CliResult result = CliProgram.Finish(process);

        Assert.Equal(8, result.Status);
        Assert.Contains("kvmsharp: the host took memory away at 0x", result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Memory_WithoutPrivileges_CannotBeCut()
    {
        string kernel = _scratch.Write("kernel", TestKernel.Echo);
        Process process = Started(CliProgram.StartShell("exec setpriv --bounding-set -sys_admin \"$@\"", "run", "--kernel", kernel, "--memory", "32M", "--debug-exit"));
        process.StandardInput.Write("a");
        process.StandardInput.Flush();
        Assert.Equal('a', process.StandardOutput.Read());

        using (FileStream memory = OpenGuestMemory(process))
            Assert.ThrowsAny<Exception>(() => memory.SetLength(0));
        process.StandardInput.Write("q");
        process.StandardInput.Close();

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
    }

    [Fact]
    public void Descriptors_NoneLeft_ConnectionWaitsOrIsClosedAndTheNextIsServed()
    {
        string path = _scratch["sock"];
        Process process = Started(CliProgram.Start("run", "--kernel", _scratch.Write("kernel", TestKernel.Echo), "--memory", "32M", "--debug-exit", "--serial", "unix:" + path));
        Assert.True(SpinWait.SpinUntil(() => File.Exists(path), CliProgram.TimeoutMs));
        using (Socket first = Connect(path))
        {
            first.Send("a"u8);
            Assert.Equal(1, first.Receive(new byte[1]));
        }

        // With no descriptor free, and then with one where two are needed.
        for (int free = 0; free < 2; free++)
        {
            LimitDescriptors(process, FirstFreeDescriptor(process) + free);
            using Socket early = Connect(path);
            long before = CpuNs(process, "char-unix");
            Thread.Sleep(300);
            Assert.InRange(CpuNs(process, "char-unix") - before, 0, 20_000_000);
            LimitDescriptors(process, 1024);
        }

        using Socket client = Connect(path);
        client.Send("hello q"u8);
        CliResult result = CliProgram.Finish(process);

        Assert.Equal(TestKernel.ExitStatus, result.Status);
        Assert.Empty(result.Error);
    }

    [Fact]
    public async Task PauseSignals_GuestWaitsAndGoesOn()
    {
        Process process = StartEcho();
        CliProgram.Signal(process, Signum.SIGUSR1);
        Assert.Equal("kvmsharp: the guest is paused; SIGUSR2 lets it go on", process.StandardError.ReadLine());
        process.StandardInput.Write("b");
        process.StandardInput.Flush();
        Task<int> answer = Task.Run(process.StandardOutput.Read);
        await Task.Delay(200);
        Assert.False(answer.IsCompleted);

        CliProgram.Signal(process, Signum.SIGUSR2);

        Assert.Equal('b', await answer.WaitAsync(TimeSpan.FromMilliseconds(CliProgram.TimeoutMs)));
        CliProgram.Signal(process, Signum.SIGUSR1);
        CliProgram.Signal(process, Signum.SIGHUP);
        Assert.Equal(10, CliProgram.Finish(process).Status);
    }

    /// <summary>For every timer of the program a long stop is a host that slept.</summary>
    [Fact]
    public void ProcessStops_AndGoesOn_GuestGoesOn()
    {
        Process process = StartEcho();
        CliProgram.Signal(process, Signum.SIGSTOP);
        Thread.Sleep(1500);
        CliProgram.Signal(process, Signum.SIGCONT);
        process.StandardInput.Write("q");
        process.StandardInput.Close();

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
    }

    private Process Started(Process process)
    {
        // Another handle: the first is gone when the process is.
        _started.Add(Process.GetProcessById(process.Id));
        return process;
    }

    private Process StartEcho()
    {
        Process process = Started(CliProgram.Start(["run", "--kernel", _scratch.Write("kernel", TestKernel.Echo), "--memory", "32M", "--debug-exit"]));
        process.StandardInput.Write("a");
        process.StandardInput.Flush();
        Assert.Equal('a', process.StandardOutput.Read());
        return process;
    }

    /// <summary>The process's descriptor of its guest's memory: a file without a name, as long as that.</summary>
    private static FileStream OpenGuestMemory(Process process)
    {
        foreach (string link in Directory.GetFiles($"/proc/{process.Id}/fd"))
        {
            string target = new FileInfo(link).LinkTarget ?? "";
            if (target.EndsWith("(deleted)", StringComparison.Ordinal) && Syscall.stat(link, out Stat stat) == 0 && stat.st_size == 32 << 20)
                return new FileStream(link, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }

        throw new InvalidOperationException("no guest memory among its descriptors");
    }

    /// <summary>Processor time of one thread.</summary>
    private static long CpuNs(Process process, string thread)
    {
        string task = Directory.GetDirectories($"/proc/{process.Id}/task").Single(folder => File.ReadAllText(folder + "/comm").Trim() == thread);
        return long.Parse(File.ReadAllText(task + "/schedstat").Split(' ')[0], CultureInfo.InvariantCulture);
    }

    private static int FirstFreeDescriptor(Process process)
    {
        int[] used = [.. Directory.GetFiles($"/proc/{process.Id}/fd").Select(link => int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture)).Order()];
        return Enumerable.Range(0, used.Length + 1).First(number => !used.Contains(number));
    }

    private static void LimitDescriptors(Process process, int limit)
    {
        using Process tool = Process.Start("prlimit", $"--pid {process.Id} --nofile={limit}:4096");
        tool.WaitForExit();
        Assert.Equal(0, tool.ExitCode);
    }

    private static Socket Connect(string path)
    {
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        // Its file is there a moment before it listens.
        Assert.True(SpinWait.SpinUntil(() => TryConnect(client, path), CliProgram.TimeoutMs));
        return client;
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
            return false;
        }
    }
}
