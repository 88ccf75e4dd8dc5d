using System.Globalization;
using KvmSharp.Cli.Tests.Support;

namespace KvmSharp.GuestTests;

/// <summary>
/// Deliberate attempts to get out, made by threads of each role in the program as it is shipped: a debugger has a running thread make a system call, as one
/// would that a guest took over. The guest is a bare kernel that halts, so this host's own KVM will do.
/// </summary>
[Collection(MachineGuests.Name)]
public sealed class SandboxWallTests : IDisposable
{
    private const int ViolationStatus = 12;
    private const long NoSuchFile = -2;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-walls-").FullName;

    public SandboxWallTests(GuestHost host)
    {
        _ = host; // which has built the program
        File.WriteAllBytes(Kernel, TestKernel.SayAndHang);
        File.WriteAllBytes(Disk, new byte[1 << 20]);
        Assert.Equal(0, Finish("cc", "-O1", "-o", Injector, RepositoryPaths.TestScript("inject.c")).Status);
    }

    /// <summary>A thread of each role by its name on the host, as the program reports it.</summary>
    public static TheoryData<string, string> Threads => new()
    {
        { "vcpu 0", "vcpu" },
        { "iothread 0", "io" },
        { "main", "control" },
        { ".NET SigHandler", "runtime" },
    };

    public static IEnumerable<object[]> Attempts =>
        from thread in Threads
        from attempt in (string[][])
        [
            ["socket", "41", "1", "1", "0"],
            ["connect", "42", "0", "0", "0"],
            ["execve", "59", "/bin/sh", "0", "0"],
            ["ptrace", "101", "16", "1", "0"],
            ["mount", "165", "none", "/", "tmpfs"],
            ["setuid", "105", "0"],
            ["kill", "62", "1", "9"],
            ["tgkill", "234", "1", "1", "9"],
            ["clone", "56", "17"],
            ["unshare", "272", "0x10000000"],
            ["mprotect", "10", "0", "4096", "7"],
        ]
        select (object[])[.. thread, attempt];

    [Theory]
    [MemberData(nameof(Attempts))]
    public void Attempt_OfEachRole_EndsTheProgramWithItsName(string thread, string role, string[] attempt)
    {
        using RunningProcess program = Start();
        Assert.StartsWith("ended", Inject(program, thread, attempt[1..]), StringComparison.Ordinal);

        Assert.Equal(ViolationStatus, program.WaitForExit(s_limit));
        Assert.Contains($"(role {role}) made the system call {attempt[0]} (number {attempt[1]})", program.Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Threads))]
    public void Open_OfAFileByEachRole_FindsNothing(string thread, string role)
    {
        using RunningProcess program = Start();

        Assert.Equal($"returned {NoSuchFile}", Inject(program, thread, "257", "-100", "/etc/passwd", "0"));
        Assert.True(program.IsRunning, role);
    }

    /// <summary>libc takes every other answer for more memory.</summary>
    [Theory]
    [MemberData(nameof(Threads))]
    public void Brk_OfEachRole_IsRefusedAsByTheKernel(string thread, string role)
    {
        using RunningProcess program = Start();

        Assert.Equal("returned 0", Inject(program, thread, "12", "0x7fffffff0000"));
        Assert.True(program.IsRunning, role);
    }

    [Fact]
    public void KvmRunAsAnotherRole_EndsTheProgram()
    {
        using RunningProcess program = Start();
        Inject(program, "iothread 0", "16", "0", "0xAE80", "0");

        Assert.Equal(ViolationStatus, program.WaitForExit(s_limit));
    }

    [Fact]
    public void Killed_Program_LeavesNeitherPidFileNorSocket()
    {
        using RunningProcess program = Start();
        Assert.True(File.Exists(PidFile) && File.Exists(Socket));
        program.Signal("KILL");
        program.WaitForExit(s_limit);

        Assert.True(SpinWait.SpinUntil(() => !File.Exists(PidFile) && !File.Exists(Socket), s_limit));
    }

    [Theory]
    [InlineData("on,user=nobody-at-all", 2, "sandbox: this host has no user nobody-at-all")]
    [InlineData("on,user=root", 2, "sandbox: the user root is root, who is not confined")]
    [InlineData("off,user=nobody", 2, "off and user exclude each other")]
    [InlineData("maybe", 2, "state")]
    public void Run_BadOption_IsRefusedInOneLine(string option, int status, string text)
    {
        GuestResult result = Finish(RepositoryPaths.Program, "run", "--kernel", Kernel, "--sandbox", option, "--pidfile", PidFile);

        Assert.Equal(status, result.Status);
        Assert.Contains(text, result.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(PidFile));
    }

    [Fact]
    public void Run_ControlGroupAbsent_IsRefusedInOneLine()
    {
        GuestResult result = Finish(RepositoryPaths.Program, "run", "--kernel", Kernel, "--cgroup", "kvmsharp-absent");

        Assert.Equal(2, result.Status);
        Assert.Contains("cannot join control group /sys/fs/cgroup/kvmsharp-absent: there is no such control group", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--sandbox on", 4)]
    [InlineData("--sandbox user=nobody", 33)]
    public void Run_NoPermissionForNamespaces_IsAnErrorOnlyIfAskedFor(string option, int status)
    {
        File.WriteAllBytes(Kernel, TestKernel.Exit);
        GuestResult result = Finish("sh", "-c",
            $"exec setpriv --bounding-set -sys_admin {RepositoryPaths.Program} run --kernel {Kernel} --debug-exit --serial none {option}");

        Assert.Equal(status, result.Status);
        Assert.Contains("unshare", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_OrdinaryUserAsksForIt_IsConfinedWithoutNamespaces()
    {
        File.WriteAllBytes(Kernel, TestKernel.Exit);
        File.SetUnixFileMode(_folder, (UnixFileMode)0x1FF);
        GuestResult result = Finish("sh", "-c",
            $"chmod o+rw /dev/kvm; exec setpriv --reuid 65534 --regid 65534 --clear-groups {RepositoryPaths.Program} run --kernel {Kernel} --debug-exit --serial none --sandbox on --log-level info");

        Assert.Equal(33, result.Status);
        Assert.Contains("confined: user unchanged, the host's namespaces", result.Output, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Kernel => Path.Combine(_folder, "kernel");

    private string Disk => Path.Combine(_folder, "disk");

    private string Injector => Path.Combine(_folder, "inject");

    private string PidFile => Path.Combine(_folder, "pid");

    private string Socket => Path.Combine(_folder, "socket");

    private RunningProcess Start()
    {
        RunningProcess program = RunningProcess.Start(RepositoryPaths.Program,
            ["run", "--kernel", Kernel, "--disk", Disk, "--serial", "stdio", "--serial", "unix:" + Socket, "--pidfile", PidFile, "--sandbox", "on"]);
        Assert.True(program.WaitForOutput("ok", 1, s_limit), program.Output);
        return program;
    }

    private string Inject(RunningProcess program, string thread, params string[] call)
    {
        // A thread may be just between two waits.
        for (int attempt = 0; ; attempt++)
        {
            GuestResult result = Finish(Injector, [program.Id.ToString(CultureInfo.InvariantCulture), thread, .. call]);
            if (result.Status == 0 || attempt == 20)
                return result.Output.Trim();
            Thread.Sleep(50);
        }
    }

    private static GuestResult Finish(string program, params string[] arguments)
    {
        using RunningProcess process = RunningProcess.Start(program, arguments);
        return new GuestResult(process.WaitForExit(s_limit), process.Output);
    }
}
