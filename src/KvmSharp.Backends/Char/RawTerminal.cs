using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Char;

/// <summary>
/// Holds a terminal in raw mode and puts it back as it was: on dispose, when the process exits, when an exception nobody
/// caught is about to end it, and on abort (SIGABRT). Coming back from a stop (SIGCONT) makes it raw again, as shells reset the terminal then.
/// </summary>
public sealed unsafe class RawTerminal : IDisposable
{
    private readonly FileDescriptor _terminal;
    private readonly termios _original;
    private readonly termios _raw;
    private readonly PosixSignalRegistration _onContinue;
    private int _restored;

    private RawTerminal(FileDescriptor terminal, termios original)
    {
        _terminal = terminal;
        _original = original;
        _raw = TerminalMode.ToRaw(original);
        AppDomain.CurrentDomain.ProcessExit += OnExit;
        AppDomain.CurrentDomain.UnhandledException += OnExit;
        _ = NativeShims.kvmsharp_terminal_guard(_terminal.Value, &original);
        _onContinue = PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ => Apply());
        Apply();
    }

    /// <summary>Null if the descriptor is no terminal, or is one of which we are not the foreground job (changing it would stop us).</summary>
    public static RawTerminal? TryEnter(FileDescriptor terminal)
    {
        if (!TerminalMode.TryGet(terminal.Value, out termios original) || !TerminalMode.IsForeground(terminal.Value))
            return null;
        return new RawTerminal(terminal.Duplicate(), original);
    }

    /// <summary>Puts the terminal back. Idempotent, any thread.</summary>
    public void Restore()
    {
        if (Interlocked.Exchange(ref _restored, 1) == 0)
            TerminalMode.TrySet(_terminal.Value, _original);
    }

    public void Dispose()
    {
        Restore();
        _ = NativeShims.kvmsharp_terminal_guard(-1, null);
        _onContinue.Dispose();
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        AppDomain.CurrentDomain.UnhandledException -= OnExit;
        _terminal.Dispose();
    }

    private void OnExit(object? sender, EventArgs e) => Restore();

    private void Apply()
    {
        if (Volatile.Read(ref _restored) == 0)
            TerminalMode.TrySet(_terminal.Value, _raw);
    }
}
