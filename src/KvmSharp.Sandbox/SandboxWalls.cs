using System.Runtime.ExceptionServices;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>
/// The walls that need nothing of the machine: filters of system calls, and an empty root, which takes time. They are made on a thread of their own while the machine
/// is built; it starts the program's threads afterwards.
/// </summary>
internal sealed class SandboxWalls : IDisposable
{
    private readonly ManualResetEventSlim _made = new();
    private readonly ThreadStarter _starter;
    private Exception? _filtersError;

    /// <param name="hasRoot">Make namespaces too, which only root may.</param>
    public SandboxWalls(bool hasRoot)
    {
        _starter = new ThreadStarter(() =>
        {
            _filtersError = Try(SeccompFilters.Install);
            if (hasRoot)
                RootError = Try(() => Root = EmptyRoot.Enter());
            _made.Set();
        });
    }

    /// <summary>Why there is no root; null if there is one, or none was asked for. After <see cref="Finish"/>, as the others.</summary>
    public Exception? RootError { get; private set; }

    /// <summary>For all threads to enter; null without one.</summary>
    public EmptyRoot? Root { get; private set; }

    /// <summary>Returns when they are made; from then on threads are started by the one that made them. Throws <see cref="LinuxException"/> without filters.</summary>
    public void Finish()
    {
        _made.Wait();
        if (_filtersError is not null)
            ExceptionDispatchInfo.Throw(_filtersError);
        _starter.Begin();
    }

    public void Dispose()
    {
        _made.Wait();
        Root?.Dispose();
    }

    private static Exception? Try(Action wall)
    {
        try
        {
            wall();
            return null;
        }
        catch (Exception e)
        {
            // Who asked for the walls knows what it means.
            return e;
        }
    }
}
