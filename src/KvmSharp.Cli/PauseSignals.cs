using System.Runtime.InteropServices;
using KvmSharp.Core;

namespace KvmSharp.Cli;

/// <summary>
/// SIGUSR1 pauses the guest, SIGUSR2 lets it go on. A thread of its own carries them out, since a pause waits for the machine; of several that come
/// faster than that the last one counts. SIGSTOP would do for vCPUs, but leaves what the host's kernel does for the guest running.
/// </summary>
internal sealed class PauseSignals : IDisposable
{
    // Linux numbers; the enumeration takes them as they are.
    private const PosixSignal Sigusr1 = (PosixSignal)10, Sigusr2 = (PosixSignal)12;

    private readonly Machine.Machine _machine;
    private readonly CliOutput _output;
    private readonly PosixSignalRegistration[] _registrations;
    private readonly object _gate = new();
    private bool _started;
    private bool _wantPaused;
    private bool _ended;

    public PauseSignals(Machine.Machine machine, CliOutput output)
    {
        _machine = machine;
        _output = output;
        _registrations =
        [
            PosixSignalRegistration.Create(Sigusr1, context => Ask(context, paused: true)),
            PosixSignalRegistration.Create(Sigusr2, context => Ask(context, paused: false)),
        ];
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
            registration.Dispose();
        lock (_gate)
        {
            _ended = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Ask(PosixSignalContext context, bool paused)
    {
        context.Cancel = true;
        lock (_gate)
        {
            _wantPaused = paused;
            if (!_started)
            {
                _started = true;
                ThreadStarter.Start(HostThread.Create("pause", ThreadRole.Control, Obey, 256 * 1024));
            }

            Monitor.PulseAll(_gate);
        }
    }

    private void Obey()
    {
        bool paused = false;
        while (true)
        {
            lock (_gate)
            {
                while (!_ended && _wantPaused == paused)
                    Monitor.Wait(_gate);
                if (_ended)
                    return;
                paused = _wantPaused;
            }

            if (paused)
                _machine.Pause();
            else
                _machine.Resume();
            _output.Error(paused ? "the guest is paused; SIGUSR2 lets it go on" : "the guest goes on");
        }
    }
}
