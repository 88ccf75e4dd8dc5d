using KvmSharp.Core.Fabric;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>
/// One virtual machine from start to end, over as many power cycles as the guest asks for. What belongs to a single power cycle is
/// a <see cref="Board"/>; this type owns what outlives it (what devices have open on the host) and decides what a request of the guest or the host
/// leads to. <see cref="Run"/> is the control thread; every other public member may be called from any thread.
/// </summary>
public sealed class Machine : IMachineControl, IDisposable
{
    private readonly MachineConfig _config;
    private readonly MachineHost _host;
    private readonly CharPorts _chars;
    private readonly HostEnds _hostEnds;
    private readonly ILogger _log;
    // Order: _boardLock before _gate. vCPU threads take only _gate, so the board can be stopped (joined) under _boardLock.
    private readonly Lock _boardLock = new();
    private Board? _board;
    private MachineStatistics _lastStatistics = MachineStatistics.Empty;
    private bool _running;
    private bool _paused;

    private readonly object _gate = new();
    private MachineExit? _exit;
    private MachineExit? _resetCause;
    private StopGuard? _stopGuard;

    private Machine(MachineConfig config, MachineHost host)
    {
        _config = config;
        _host = host;
        _chars = new CharPorts(host.OpenChar);
        _hostEnds = new HostEnds(host);
        _log = host.Loggers.CreateLogger("machine");
    }

    /// <summary>
    /// Builds a machine that is ready to run. Throws <see cref="ConfigException"/>, a boot or KVM exception or
    /// <see cref="Core.LinuxException"/>, each with a one-line message, and leaves nothing behind.
    /// </summary>
    public static Machine Create(MachineConfig config, MachineHost host)
    {
        MachineConfigValidator.Validate(config);
        var machine = new Machine(config, host);
        try
        {
            machine._board = Board.Build(config, host.Loggers, machine._chars, machine._hostEnds, machine);
            return machine;
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>Exit counters of the present power cycle by exit reason and by device; after the end, those of the last one.</summary>
    public MachineStatistics ReadStatistics()
    {
        lock (_boardLock)
            return _board?.ReadStatistics() ?? _lastStatistics;
    }

    /// <summary>Starts the guest and returns when the machine has come to its end. Called once.</summary>
    public MachineExit Run()
    {
        StartBoard();
        _host.OnStarted?.Invoke();
        while (true)
        {
            MachineExit? end = WaitForEnd();
            StopBoard();
            if (end is not null)
                return end;
            _log.LogInformation("reset: starting the guest again");
            if (!TryRebuild(out MachineExit? failure))
                return failure!;
            StartBoard();
        }
    }

    /// <summary>Presses the ACPI power button; a guest that listens powers off.</summary>
    public void PressPowerButton()
    {
        lock (_boardLock)
            _board?.PressPowerButton();
    }

    /// <summary>Ends the machine without asking the guest.</summary>
    public void RequestStop() => End(new MachineExit(MachineExitKind.Stopped));

    /// <summary>Stops all vCPUs between two instructions; returns when they are. Idempotent.</summary>
    public void Pause()
    {
        lock (_boardLock)
        {
            if (_paused)
                return;
            _paused = true;
            if (_running)
                _board?.Pause();
        }
    }

    /// <summary>Lets a paused machine go on. Idempotent.</summary>
    public void Resume()
    {
        lock (_boardLock)
        {
            if (!_paused)
                return;
            _paused = false;
            if (_running)
                _board?.Resume();
        }
    }

    public void Request(MachineRequest request)
    {
        switch (request)
        {
            case MachineRequest.PowerOff:
                End(new MachineExit(MachineExitKind.PowerOff));
                break;
            case MachineRequest.GuestPanic:
                End(new MachineExit(MachineExitKind.GuestPanic, Message: "the guest kernel panicked"));
                break;
            default:
                RequestReset(new MachineExit(MachineExitKind.Reset));
                break;
        }
    }

    public void RequestExit(int status) => End(new MachineExit(MachineExitKind.DebugExit, status));

    /// <summary>A vCPU hit a triple fault, which on a PC is a reset.</summary>
    internal void OnTripleFault() => RequestReset(new MachineExit(MachineExitKind.TripleFault, Message: "triple fault in the guest"));

    /// <summary>KVM or the program cannot go on with this guest.</summary>
    internal void Fail(string message) => End(new MachineExit(MachineExitKind.InternalError, Message: message));

    public void Dispose()
    {
        StopBoard();
        _hostEnds.Dispose();
        _chars.Dispose();
        lock (_gate)
            _stopGuard?.Dispose();
    }

    private void RequestReset(MachineExit cause)
    {
        if (_config.NoReboot)
        {
            End(cause);
            return;
        }

        lock (_gate)
        {
            _resetCause ??= cause;
            Monitor.PulseAll(_gate);
        }
    }

    private void End(MachineExit exit)
    {
        lock (_gate)
        {
            if (_exit is not null)
                return;
            _exit = exit;
            if (_host.OnStuck is { } onStuck)
                _stopGuard = new StopGuard(_host.StopLimit, () => onStuck(Volatile.Read(ref _board)?.WhoRuns() ?? "a device"));
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>The end, or null for a reset. An end wins over a reset that came with it.</summary>
    private MachineExit? WaitForEnd()
    {
        lock (_gate)
        {
            while (_exit is null && _resetCause is null)
                Monitor.Wait(_gate);
            return _exit;
        }
    }

    private void StartBoard()
    {
        lock (_boardLock)
        {
            _running = true;
            if (!_paused)
                _board!.Start();
        }
    }

    private void StopBoard()
    {
        lock (_boardLock)
        {
            if (_board is null)
                return;
            _board.Stop();
            _lastStatistics = _board.ReadStatistics();
            _board.Dispose();
            _board = null;
        }
    }

    private bool TryRebuild(out MachineExit? failure)
    {
        try
        {
            Board board = Board.Build(_config, _host.Loggers, _chars, _hostEnds, this);
            lock (_boardLock)
                _board = board;
            lock (_gate)
            {
                _resetCause = null;
                failure = _exit;
            }

            return failure is null;
        }
        catch (Exception e)
        {
            failure = new MachineExit(MachineExitKind.InternalError, Message: $"cannot restart the guest after its reset: {e.Message}");
            return false;
        }
    }
}
