using KvmSharp.Core;
using KvmSharp.Machine;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Bench.Paths;

/// <summary>A guest in a machine of this program.</summary>
internal sealed class KvmSharpRun : IGuestRun
{
    private const ulong MemoryBytes = 64 << 20;

    private readonly GuestPort _port = new();
    private readonly Machine.Machine _machine;
    private readonly Thread _thread;
    private readonly bool _leavesByPort;
    private MachineExit? _exit;

    /// <summary>The bench guest.</summary>
    public KvmSharpRun(PathOptions options, PathModel model, BenchScratch scratch, string commandLine, ILoggerFactory loggers)
        : this(BenchMachine(options, model, scratch, commandLine), loggers)
    {
    }

    /// <param name="config">A machine with a first serial port. Its guest is to leave by the debug-exit port if it has one, else to power off.</param>
    public KvmSharpRun(MachineConfig config, ILoggerFactory loggers)
    {
        _leavesByPort = config.DebugExitPort is not null;
        _machine = Machine.Machine.Create(config, new MachineHost { Loggers = loggers, OpenChar = (_, _) => _port });
        _thread = HostThread.Create("bench machine", ThreadRole.Control, Run);
        _thread.Start();
    }

    public int ReadByte() => _port.ReadByte();

    public void Answer() => _port.Answer();

    public int ProcessId => Environment.ProcessId;

    public long? ReadExits() => _machine.ReadStatistics().ExitsByReason.Sum(e => e.Count);

    // The bench's own threads go by that name, and the first is its command line's.
    public CpuTimes ReadCpu() => CpuTimes.Read(Environment.ProcessId, (id, name) => id != Environment.ProcessId && !name.StartsWith("bench", StringComparison.Ordinal));

    public void Stop() => _machine.RequestStop();

    public string? ReadFailure()
    {
        _thread.Join();
        return _exit switch
        {
            { Kind: MachineExitKind.DebugExit, Status: GuestStatus.Ok } => null,
            { Kind: MachineExitKind.DebugExit, Status: int status } => GuestStatus.Describe(status),
            { Kind: MachineExitKind.PowerOff } when !_leavesByPort => null,
            { Kind: MachineExitKind.Stopped } => "it was stopped",
            _ => _exit?.Message ?? $"it ended with {_exit?.Kind}",
        };
    }

    public void Dispose()
    {
        _machine.RequestStop();
        _thread.Join();
        _machine.Dispose();
    }

    private static MachineConfig BenchMachine(PathOptions options, PathModel model, BenchScratch scratch, string commandLine)
    {
        List<DeviceConfig> devices = [];
        if (options.WithDisk)
            devices.Add(new DiskConfig { Path = scratch.Disk, Model = model == PathModel.Emulated ? DiskModel.Ide : DiskModel.Virtio });
        if (options.WithNet)
            devices.Add(new NetConfig { Tap = scratch.Tap, Model = model == PathModel.Emulated ? NetModel.E1000 : NetModel.Virtio });
        return new MachineConfig
        {
            Name = "bench",
            Boot = new BootConfig { KernelPath = scratch.Kernel, Append = commandLine },
            Memory = new MemoryConfig { SizeBytes = MemoryBytes },
            Serials = [new SerialConfig(0, new CharConfig(CharKind.Null))],
            DebugExitPort = MachineLayout.DebugExitPort,
            NoReboot = true,
            KvmDevice = options.KvmDevice,
            Devices = devices,
        };
    }

    private void Run()
    {
        try
        {
            _exit = _machine.Run();
        }
        catch (Exception e)
        {
            _exit = new MachineExit(MachineExitKind.InternalError, Message: e.Message);
        }

        _port.Close();
    }
}
