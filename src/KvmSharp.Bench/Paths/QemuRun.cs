using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace KvmSharp.Bench.Paths;

/// <summary>A guest under QEMU.</summary>
internal sealed class QemuRun : IGuestRun
{
    private readonly Process _process;
    private readonly Task<string> _errors;
    private readonly int _okStatus;

    /// <summary>The bench guest, with QEMU's fastest set-up of the same devices.</summary>
    public QemuRun(PathOptions options, PathModel model, QemuPeer peer, BenchScratch scratch, string commandLine)
        : this(peer.Program, Arguments(options, model, peer, scratch, commandLine), GuestStatus.Ok)
    {
    }

    /// <param name="okStatus">What QEMU leaves with when the guest came to its end.</param>
    public QemuRun(string program, IReadOnlyList<string> arguments, int okStatus)
    {
        _okStatus = okStatus;
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new BenchException($"cannot start {program}: {e.Message}");
        }

        _errors = _process.StandardError.ReadToEndAsync();
    }

    public int ReadByte() => _process.StandardOutput.BaseStream.ReadByte();

    public void Answer()
    {
        try
        {
            _process.StandardInput.BaseStream.WriteByte((byte)'\n');
            _process.StandardInput.BaseStream.Flush();
        }
        catch (IOException)
        {
            // It has ended, which the next read says.
        }
    }

    public int ProcessId => _process.Id;

    public long? ReadExits() => null;

    public CpuTimes ReadCpu() => CpuTimes.Read(_process.Id, (_, _) => true);

    public void Stop()
    {
        if (!_process.HasExited)
            _process.Kill();
    }

    public string? ReadFailure()
    {
        _process.WaitForExit();
        if (_process.ExitCode == _okStatus && _errors.Result.Length == 0)
            return null;
        // QEMU itself fails with status 1 as well, but says why.
        string? said = _errors.Result.Split('\n').LastOrDefault(l => l.Length > 0 && !l.Contains("warning", StringComparison.Ordinal));
        return said ?? (_process.ExitCode == _okStatus ? null : $"it ended with status {_process.ExitCode.ToString(CultureInfo.InvariantCulture)}");
    }

    public void Dispose()
    {
        Stop();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static List<string> Arguments(PathOptions options, PathModel model, QemuPeer peer, BenchScratch scratch, string commandLine)
    {
        bool emulated = model == PathModel.Emulated;
        List<string> arguments =
        [
            "-M", "pc", "-accel", peer.Accelerator, "-cpu", "qemu64", "-m", "64", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", scratch.Kernel, "-append", commandLine, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ];
        if (options.WithDisk)
        {
            arguments.AddRange(
            [
                "-object", "iothread,id=io0", "-drive", $"file={scratch.Disk.Replace(",", ",,", StringComparison.Ordinal)},format=raw,if=none,id=disk0,aio=io_uring",
                "-device", emulated ? "ide-hd,drive=disk0,bus=ide.0" : "virtio-blk-pci,drive=disk0,iothread=io0",
            ]);
        }

        if (options.WithNet)
        {
            arguments.AddRange(["-netdev", $"tap,id=net0,ifname={scratch.Tap},script={scratch.TapScript},downscript=no,vhost=off", "-device", $"{(emulated ? "e1000" : "virtio-net-pci")},netdev=net0"]);
        }

        return arguments;
    }
}
