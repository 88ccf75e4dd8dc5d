using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Config;

/// <summary>
/// Everything that describes one virtual machine, whether it was said on the command line, in a file or in code. Immutable;
/// <see cref="MachineConfigValidator"/> says whether it makes sense.
/// </summary>
public sealed record MachineConfig
{
    /// <summary>Shown in messages and thread names; letters, digits, <c>-_.</c>, at most 64.</summary>
    public string Name { get; init; } = "vm";

    public MachineKind Kind { get; init; } = MachineKind.Pc;

    public BootConfig Boot { get; init; } = new();

    public MemoryConfig Memory { get; init; } = new();

    public CpuConfig Cpus { get; init; } = new();

    public IrqchipMode Irqchip { get; init; } = IrqchipMode.Kernel;

    /// <summary>COM1 to COM4. A port that is not listed, or whose kind is <see cref="CharKind.None"/>, does not exist.</summary>
    public IReadOnlyList<SerialConfig> Serials { get; init; } = [];

    /// <summary>Port of the ISA debug-exit device; null: there is none.</summary>
    public ushort? DebugExitPort { get; init; }

    /// <summary>The one-port debug console; null: there is none.</summary>
    public DebugConsoleConfig? DebugConsole { get; init; }

    /// <summary>The test device for bare test kernels (latches, GSI levels, MMIO that behaves as memory).</summary>
    public bool TestDevice { get; init; }

    /// <summary>A guest reset ends the program instead of restarting the guest.</summary>
    public bool NoReboot { get; init; }

    /// <summary>Exit counters are printed when the machine has ended.</summary>
    public bool Statistics { get; init; }

    /// <summary>What the machine's threads do is written to a file; null: it is not.</summary>
    public TraceConfig? Trace { get; init; }

    /// <summary>How the program confines itself.</summary>
    public SandboxConfig Sandbox { get; init; } = new();

    /// <summary>The control group of the host that the program joins; null: it stays where it is.</summary>
    public string? ControlGroup { get; init; }

    /// <summary>Where the process id is written; null: nowhere.</summary>
    public string? PidFile { get; init; }

    /// <summary>How long a guest may take to power off once asked with the ACPI button before it is stopped.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(10);

    public LogLevel LogLevel { get; init; } = LogLevel.Warning;

    /// <summary>The KVM device node.</summary>
    public string KvmDevice { get; init; } = "/dev/kvm";

    /// <summary>I/O threads that devices name.</summary>
    public IReadOnlyList<IoThreadConfig> IoThreads { get; init; } = [];

    /// <summary>Disks, networks and the rest, in the order given.</summary>
    public IReadOnlyList<DeviceConfig> Devices { get; init; } = [];

    /// <summary>Everything that leads to a character device of the host.</summary>
    public IEnumerable<CharUse> Chars =>
    [
        .. Serials.Select(s => new CharUse($"serial port COM{s.Index + 1}", s.Char)),
        .. DebugConsole is { } console ? [new CharUse("the debug console", console.Char)] : Array.Empty<CharUse>(),
        .. Devices.SelectMany(d => d.Chars),
    ];

    /// <summary>Which of the devices of its kind a device is, from 0; names and addresses that nobody chose follow from it.</summary>
    internal int IndexOf<T>(T device)
        where T : DeviceConfig => Devices.OfType<T>().TakeWhile(d => !ReferenceEquals(d, device)).Count();
}
