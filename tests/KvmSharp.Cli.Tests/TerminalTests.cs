using System.Diagnostics;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Cli.Tests.Support;
using KvmSharp.Core;
using Mono.Unix.Native;

namespace KvmSharp.Cli.Tests;

/// <summary>The program on a terminal of its own: raw while it runs, as before when it has ended, however it ends.</summary>
public sealed unsafe class TerminalTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();
    private readonly FileDescriptor _master;
    private readonly FileDescriptor _terminal;
    private readonly string _path;
    private readonly byte[] _before;

    public TerminalTests()
    {
        _master = FileDescriptor.Open("/dev/ptmx", LibcConstants.O_RDWR | LibcConstants.O_NOCTTY);
        int locked = 0, number;
        Assert.Equal(0, Libc.ioctl(_master.Value, LibcConstants.TIOCSPTLCK, (nint)(&locked)));
        Assert.Equal(0, Libc.ioctl(_master.Value, LibcConstants.TIOCGPTN, (nint)(&number)));
        _path = $"/dev/pts/{number}";
        _terminal = FileDescriptor.Open(_path, LibcConstants.O_RDWR | LibcConstants.O_NOCTTY);
        _before = Mode();
    }

    public void Dispose()
    {
        _terminal.Dispose();
        _master.Dispose();
        _scratch.Dispose();
    }

    [Fact]
    public void Escape_X_QuitsAndRestores()
    {
        using Process process = Start(TestKernel.Echo);
        WaitUntilRaw();
        Type("\u0001x");

        CliResult result = CliProgram.Finish(process);

        Assert.Equal(0, result.Status);
        Assert.Equal(_before, Mode());
    }

    [Fact]
    public void Escape_H_PrintsHelpAndGuestGoesOn()
    {
        using Process process = Start(TestKernel.Echo);
        WaitUntilRaw();
        Type("\u0001h");
        ReadUntil("send Ctrl-A");
        Type("q");

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
        Assert.Equal(_before, Mode());
    }

    [Fact]
    public void Escape_Twice_SendsCtrlA()
    {
        using Process process = Start(TestKernel.Echo);
        WaitUntilRaw();
        Type("<\u0001\u0001>");
        ReadUntil("<\u0001>");
        Type("q");

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
    }

    [Fact]
    public void CtrlC_ReachesTheGuest()
    {
        using Process process = Start(TestKernel.Echo);
        WaitUntilRaw();
        Type("\u0003q");

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
    }

    [Theory]
    [InlineData(Signum.SIGHUP)]
    [InlineData(Signum.SIGTERM)]
    [InlineData(Signum.SIGINT)]
    [InlineData(Signum.SIGQUIT)]
    public void Signal_WhileRaw_Restores(Signum signal)
    {
        string pidFile = _scratch["pid"];
        using Process process = Start(TestKernel.Echo, "--grace", "100ms", "--pidfile", pidFile);
        WaitUntilRaw();
        Assert.Equal(0, Syscall.kill(int.Parse(File.ReadAllText(pidFile), System.Globalization.CultureInfo.InvariantCulture), signal));

        Assert.Equal(10, CliProgram.Finish(process).Status);
        Assert.Equal(_before, Mode());
    }

    [Fact]
    public void Abort_WhileRaw_Restores()
    {
        string pidFile = _scratch["pid"];
        using Process process = Start(TestKernel.Echo, "--pidfile", pidFile);
        WaitUntilRaw();
        Type("a");
        ReadUntil("a");
        Assert.Equal(0, Syscall.kill(int.Parse(File.ReadAllText(pidFile), System.Globalization.CultureInfo.InvariantCulture), Signum.SIGABRT));

        Assert.NotEqual(0, CliProgram.Finish(process).Status);
        Assert.Equal(_before, Mode());
    }

    /// <summary>Every other call on the terminal fails, in the program and in its runtime.</summary>
    [Fact]
    public void Calls_InterruptedAndRefused_NothingIsLostAndItIsRestored()
    {
        // A call that strace makes fail has no number any more, and a filter ends the program for it.
        string faults = string.Join(" ", ((string[])["read:error=EINTR:when=1+2", "write:error=EAGAIN:when=1+2", "poll:error=EINTR:when=2+2", "ioctl:error=EINTR:when=2+2"]).Select(f => "-e inject=" + f));
        using Process process = CliProgram.StartShell(
            $"exec setsid -w -c strace -f -qq -o /dev/null -P {_path} -e trace=read,write,poll,ioctl {faults} \"$@\" <{_path} >{_path}",
            ["run", "--kernel", _scratch.Write("kernel", TestKernel.Echo), "--memory", "32M", "--debug-exit", "--sandbox", "off"]);
        WaitUntilRaw();
        Type("every key comes back, ");
        ReadUntil("every key comes back, ");
        Type("once q");

        Assert.Equal(TestKernel.ExitStatus, CliProgram.Finish(process).Status);
        ReadUntil("once q");
        Assert.Equal(_before, Mode());
    }

    [Fact]
    public void SetUpFails_AfterTheTerminalWasRaw_Restores()
    {
        using Process process = Start(TestKernel.Echo, "--serial", "stdio", "--serial", "file:" + _scratch["no/such"]);

        Assert.Equal(2, CliProgram.Finish(process).Status);
        Assert.Equal(_before, Mode());
    }

    private Process Start(byte[] kernel, params string[] args) => CliProgram.StartShell(
        $"exec setsid -w -c \"$@\" <{_path} >{_path}", ["run", "--kernel", _scratch.Write("kernel", kernel), "--memory", "32M", "--debug-exit", .. args]);

    private void WaitUntilRaw() => Assert.True(SpinWait.SpinUntil(() => !Mode().AsSpan().SequenceEqual(_before), CliProgram.TimeoutMs));

    private void Type(string keys)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(keys);
        fixed (byte* p = bytes)
            Assert.Equal(bytes.Length, Libc.write(_master.Value, p, (nuint)bytes.Length));
    }

    private void ReadUntil(string expected)
    {
        var seen = new StringBuilder();
        var watch = Stopwatch.StartNew();
        byte* buffer = stackalloc byte[256];
        while (!seen.ToString().Contains(expected, StringComparison.Ordinal))
        {
            pollfd item = new() { fd = _master.Value, events = LibcConstants.POLLIN };
            Assert.True(watch.ElapsedMilliseconds < CliProgram.TimeoutMs, $"only saw: {seen}");
            if (Libc.poll(&item, 1, 100) > 0)
                seen.Append(Encoding.ASCII.GetString(buffer, (int)Math.Max(0, Libc.read(_master.Value, buffer, 256))));
        }
    }

    private byte[] Mode()
    {
        termios mode;
        Assert.Equal(0, Libc.ioctl(_terminal.Value, LibcConstants.TCGETS, (nint)(&mode)));
        return new ReadOnlySpan<byte>(&mode, sizeof(termios)).ToArray();
    }
}
