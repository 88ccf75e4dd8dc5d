using System.Runtime.InteropServices;
using KvmSharp.Backends.Char;
using KvmSharp.Core;

namespace KvmSharp.Cli;

/// <summary>
/// Turns signals and console keys into requests to the machine. SIGTERM and SIGINT press the power button and, when the grace period is
/// over, stop the guest; a second one stops it at once, as SIGHUP, SIGQUIT and <c>Ctrl-A x</c> do.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly TimeSpan _grace;
    private readonly CliOutput _output;
    private readonly PosixSignalRegistration[] _registrations;
    private readonly CancellationTokenSource _asked = new();
    private readonly object _gate = new();
    private Machine.Machine? _machine;
    private int _askedTimes;
    private bool _stopNow;
    private bool _ended;

    public StopSignals(TimeSpan grace, CliOutput output)
    {
        _grace = grace;
        _output = output;
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnAsk),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnAsk),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangup),
            PosixSignalRegistration.Create(PosixSignal.SIGQUIT, OnHangup),
        ];
    }

    /// <summary>Cancelled by the first signal: for who waits before there is a machine.</summary>
    public CancellationToken Asked => _asked.Token;

    /// <summary>The user ended the machine from the console.</summary>
    public bool IsUserQuit { get; private set; }

    /// <summary>The machine that requests go to from now on; what was asked before is passed on.</summary>
    public void Attach(Machine.Machine machine)
    {
        lock (_gate)
        {
            _machine = machine;
            // A guest that has not run cannot power off, so an early request is a stop.
            if (_stopNow || _askedTimes > 0)
                machine.RequestStop();
        }
    }

    /// <summary>The machine has ended; nothing more is asked of it.</summary>
    public void Detach()
    {
        lock (_gate)
        {
            _machine = null;
            _ended = true;
            Monitor.PulseAll(_gate);
        }
    }

    public void OnConsoleCommand(ConsoleCommand command)
    {
        if (command == ConsoleCommand.PowerButton)
        {
            // Not on the console's thread: the button waits for the machine's lock, and the console must go on.
            StartThread("power-button", () => _machine?.PressPowerButton());
            return;
        }

        IsUserQuit = true;
        StopNow();
    }

    public void Dispose()
    {
        Detach();
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
    }

    private void OnHangup(PosixSignalContext context)
    {
        context.Cancel = true;
        _asked.Cancel();
        StopNow();
    }

    private void OnAsk(PosixSignalContext context)
    {
        context.Cancel = true;
        _asked.Cancel();
        bool first;
        lock (_gate)
            first = _askedTimes++ == 0;
        if (!first)
        {
            StopNow();
            return;
        }

        StartThread("grace", AskAndWait);
    }

    private void AskAndWait()
    {
        Machine.Machine? machine;
        lock (_gate)
            machine = _machine;
        if (machine is null)
            return;
        // Not here: it waits for the machine, which may be stuck, and the grace period must end all the same.
        StartThread("power-button", machine.PressPowerButton);
        lock (_gate)
        {
            long end = Environment.TickCount64 + (long)_grace.TotalMilliseconds;
            for (long left = end - Environment.TickCount64; !_ended && !_stopNow && left > 0; left = end - Environment.TickCount64)
                Monitor.Wait(_gate, (int)Math.Min(left, int.MaxValue));
            if (_ended || _stopNow)
                return;
        }

        _output.Error($"the guest did not power off within {_grace.TotalSeconds:0.###} s, stopping it");
        StopNow();
    }

    private void StopNow()
    {
        lock (_gate)
        {
            // Asked again while the machine is still being made, which may take minutes of preallocating memory: leave right here.
            if (_machine is null && !_ended && (_stopNow || _askedTimes > 1))
                StartThread("leave", () => Environment.Exit((int)ExitCode.Stopped));
            _stopNow = true;
            _machine?.RequestStop();
            Monitor.PulseAll(_gate);
        }
    }

    private static void StartThread(string name, ThreadStart body) => ThreadStarter.Start(HostThread.Create(name, ThreadRole.Control, body, 256 * 1024));
}
