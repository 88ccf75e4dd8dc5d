using System.Globalization;

namespace KvmSharp.GuestTests;

/// <summary>
/// The host a group of guest tests runs on: this machine with hardware KVM, else a lab that is kept running for all of them.
/// Builds the program under test and prepares the guests once.
/// </summary>
public sealed class GuestHost : IDisposable
{
    /// <summary>The status of lab.sh when it is the lab that hangs or ends.</summary>
    private const int LabFailed = 125;

    // Guests that run on this machine itself would meet in its networks: one group at a time.
    private static readonly SemaphoreSlim s_thisMachine = new(1);
    private static int s_labs;
    private readonly string _lab = $"tests-{Environment.ProcessId}-{Interlocked.Increment(ref s_labs)}";
    private readonly string _log;
    private readonly string _scratch = Directory.CreateTempSubdirectory("kvmsharp-tests-").FullName;
    private readonly Dictionary<string, GuestKernel> _kernels = [];
    private readonly Dictionary<string, string> _toolsInitramfs = [];
    private int _repeats;

    public GuestHost()
    {
        string results = Path.Combine(RepositoryPaths.Root, "artifacts", "test-results");
        Directory.CreateDirectory(results);
        _log = Path.Combine(results, $"{_lab}.log");
        if (RepositoryPaths.OtherProgram is null)
            Prepare("build.sh");
        Prepare("guest.sh", "all");
        foreach (string series in (string[])["6.1", "6.12"])
        {
            foreach (string flavour in (string[])["cloud", "generic"])
                _kernels[$"{series}-{flavour}"] = new GuestKernel(Prepare("guest.sh", "kernel", series, flavour), Prepare("guest.sh", "initramfs", series, flavour));
        }

        if (InLab)
            StartLab();
        else
            s_thisMachine.Wait();
    }

    /// <summary>True when guests run two levels deep on an emulated CPU.</summary>
    public bool InLab { get; } = !HasHardwareKvm();

    /// <summary>How long a guest may take to boot and do a small thing.</summary>
    public TimeSpan BootLimit => InLab ? TimeSpan.FromSeconds(150) : TimeSpan.FromSeconds(45);

    /// <summary>How long a check of guest.sh may take.</summary>
    public TimeSpan CheckLimit => InLab ? TimeSpan.FromSeconds(330) : TimeSpan.FromSeconds(120);

    /// <summary>Kernel command line every guest gets: what takes seconds off an emulated boot, and a panic resets at once.</summary>
    public static string CommonAppend => "console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1";

    /// <summary>A kernel by "series-flavour", such as "6.12-cloud".</summary>
    public GuestKernel Kernel(string name) => _kernels[name];

    /// <summary>The path of an initramfs: options of guest.sh initramfs, series, flavour and modules.</summary>
    public static string Initramfs(params string[] what) => Prepare("guest.sh", ["initramfs", .. what]);

    /// <summary>The path of a raw image with a Debian root file system. Nothing may write to it.</summary>
    public static string RootImage() => Prepare("guest.sh", "rootfs");

    /// <summary>The path of the initramfs that starts such an image with this kernel.</summary>
    public static string RootInitramfs(string series, string flavour) => Prepare("guest.sh", "root-initramfs", series, flavour);

    /// <summary>The path of a folder with the programs of Open vSwitch on DPDK.</summary>
    public static string OpenVSwitch() => Prepare("guest.sh", "openvswitch");

    /// <summary>Copies a sparse file to where the host of the guests may write it; the new path, the same on both sides.</summary>
    public string CopyToScratch(string path)
    {
        string copy = Path.Combine(_scratch, Path.GetRandomFileName());
        using RunningProcess process = RunningProcess.Start("/bin/cp", ["--reflink=auto", "--sparse=always", path, copy]);
        int? status = process.WaitForExit(TimeSpan.FromMinutes(2));
        return status == 0 ? copy : throw new InvalidOperationException($"Cannot copy {path}: {process.Output}");
    }

    /// <summary>The arguments of a run: this kernel and a test of its init, then whatever else.</summary>
    public string[] Arguments(string kernel, string protocol, string append, params string[] more) =>
    [
        RepositoryPaths.Program, "run", "--kernel", Kernel(kernel).Image(protocol), "--initrd", Kernel(kernel).Initramfs,
        "--append", $"{CommonAppend} {append}", .. more,
    ];

    /// <summary>
    /// A run of host.sh: it serves a check of guest.sh, which runs in the guest. Both are in the folder Scripts.
    /// </summary>
    /// <param name="check">The check's name in both scripts; host.sh may want words of its own after it.</param>
    /// <param name="more">More arguments of the monitor.</param>
    public string[] CheckArguments(string kernel, string[] check, params string[] more) => ModuleCheckArguments(kernel, [], check, "", more);

    /// <summary>The same with more of the kernel's modules, and with words on the kernel command line.</summary>
    public string[] ModuleCheckArguments(string kernel, string[] modules, string[] check, string append, params string[] more)
    {
        string[] run = Arguments(kernel, "bzImage", $"kvmsharp.test=script check={check[0]} {append}".TrimEnd(), ["--memory", "256M", "--no-reboot", .. more]);
        run[Array.IndexOf(run, "--initrd") + 1] = ToolsInitramfs(kernel, modules);
        return ["bash", RepositoryPaths.TestScript("host.sh"), .. check, .. run];
    }

    /// <summary>
    /// Runs a guest to its end. The emulated host of the lab now and then loses a guest through no fault of ours: an end that looks
    /// like that is logged and repeated in a new lab, after another monitor (QEMU) has booted the same guest there: once, twice if the lab
    /// hung both times.
    /// </summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="expected">The status that is no reason to repeat.</param>
    public GuestResult Run(string[] command, int expected = 0)
    {
        TimeSpan limit = command.Contains(RepositoryPaths.TestScript("host.sh")) ? CheckLimit : BootLimit;
        GuestResult result = RunOnce(command, limit);
        if (!InLab || result.Status == expected || (result.Status is 2 or 4 && !result.ReachedUserSpace))
            return result;
        _repeats++;
        Log($"run {_repeats} to be repeated: {string.Join(' ', command)}\n{result.Describe()}");
        RestartLab();
        Log($"peer on the same guest: {RunOnce(PeerOf(command), BootLimit).Describe()}");
        GuestResult second = RunOnce(command, limit);
        Log($"repeated run: {second.Describe()}");
        if (second.Status != LabFailed)
            return second;
        RestartLab();
        GuestResult third = RunOnce(command, limit);
        Log($"run repeated again: {third.Describe()}");
        return third;
    }

    /// <summary>Starts a command on the host that runs guests and leaves it running; its stdin, output and signals are the caller's.</summary>
    internal RunningProcess Start(params string[] command) => StartWithin(BootLimit, command);

    public void Dispose()
    {
        if (_repeats > 0)
            Log($"{_repeats} run(s) had to be repeated");
        if (InLab)
        {
            using RunningProcess stop = RunningProcess.Start(RepositoryPaths.Script("lab.sh"), ["--stop", _lab]);
            stop.WaitForExit(TimeSpan.FromSeconds(30));
        }
        else
        {
            s_thisMachine.Release();
        }

        Directory.Delete(_scratch, recursive: true);
    }

    private static bool HasHardwareKvm()
    {
        // The same rule as scripts/lib/common.sh, so that both always agree.
        using RunningProcess probe = RunningProcess.Start("/bin/bash", ["-c", $". '{RepositoryPaths.Script("lib/common.sh")}' && has_hardware_kvm"]);
        return probe.WaitForExit(TimeSpan.FromSeconds(20)) == 0;
    }

    private RunningProcess StartWithin(TimeSpan limit, string[] command)
    {
        RestartLabIfGone();
        return RunningProcess.Start(RepositoryPaths.Script("lab.sh"), [.. Where(), "--timeout", Seconds(limit + TimeSpan.FromSeconds(60)), "--pipe", "--", .. command]);
    }

    private string ToolsInitramfs(string kernel, string[] modules)
    {
        string what = string.Join(' ', [kernel, .. modules]);
        if (!_toolsInitramfs.TryGetValue(what, out string? path))
        {
            string[] name = kernel.Split('-');
            path = _toolsInitramfs[what] = Initramfs(["--tools", "--script", RepositoryPaths.TestScript("guest.sh"), name[0], name[1], .. modules]);
        }

        return path;
    }

    private static string Seconds(TimeSpan time) => ((int)time.TotalSeconds).ToString(CultureInfo.InvariantCulture);

    private static string[] PeerOf(string[] command)
    {
        string Option(string name) => command[Array.IndexOf(command, name) + 1];
        return
        [
            "timeout", "120", "qemu-system-x86_64", "-M", "pc", "-accel", "kvm", "-cpu", "host", "-m", "512M", "-nodefaults", "-nographic", "-no-reboot",
            "-serial", "stdio", "-kernel", Option("--kernel").Replace("vmlinux", "vmlinuz", StringComparison.Ordinal), "-initrd", Option("--initrd"),
            "-append", $"{CommonAppend} kvmsharp.test=selfcheck",
        ];
    }

    private GuestResult RunOnce(string[] command, TimeSpan limit)
    {
        using RunningProcess process = StartWithin(limit, command);
        int? status = process.WaitForExit(limit + TimeSpan.FromSeconds(90));
        return new GuestResult(status, process.Output);
    }

    private string[] Where() => InLab ? ["--in", _lab] : [];

    private void StartLab()
    {
        for (int attempt = 1; ; attempt++)
        {
            using RunningProcess start = RunningProcess.Start(
                RepositoryPaths.Script("lab.sh"),
                ["--keep", _lab, "--mem", "7G", "--scratch", _scratch, "--owner", Environment.ProcessId.ToString(CultureInfo.InvariantCulture), "--boot-timeout", "180"]);
            if (start.WaitForExit(TimeSpan.FromMinutes(6)) == 0)
                return;
            Log($"the lab did not start:\n{start.Output}");
            if (attempt == 2)
                throw new InvalidOperationException($"The lab does not start:\n{start.Output}");
        }
    }

    private void RestartLabIfGone()
    {
        if (!InLab)
            return;
        using RunningProcess probe = RunningProcess.Start(RepositoryPaths.Script("lab.sh"), ["--in", _lab, "--boot-timeout", "20", "--", "true"]);
        if (probe.WaitForExit(TimeSpan.FromSeconds(40)) == 0)
            return;
        Log($"the lab is gone, starting another:\n{probe.Output}");
        RestartLab();
    }

    private void RestartLab()
    {
        using (RunningProcess stop = RunningProcess.Start(RepositoryPaths.Script("lab.sh"), ["--stop", _lab]))
            stop.WaitForExit(TimeSpan.FromSeconds(30));
        StartLab();
    }

    private static string Prepare(string script, params string[] arguments)
    {
        using RunningProcess process = RunningProcess.Start(RepositoryPaths.Script(script), arguments);
        int? status = process.WaitForExit(TimeSpan.FromMinutes(10));
        if (status != 0)
            throw new InvalidOperationException($"scripts/{script} ended with {status?.ToString(CultureInfo.InvariantCulture) ?? "nothing"}:\n{process.Output}");
        return process.Output.Trim().Split('\n')[^1].Trim();
    }

    private void Log(string text) =>
        File.AppendAllText(_log, string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss} {text}\n"));
}
