using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>
/// The walls that take time to make and need nothing of the machine: filters of system calls and an empty root. They are made on a thread of their own, while the
/// machine is built.
/// </summary>
internal sealed class SandboxWalls : IDisposable
{
    private readonly Thread _thread;

    /// <param name="hasRoot">Make namespaces too, which only root may.</param>
    public SandboxWalls(bool hasRoot)
    {
        _thread = HostThread.Create("sandbox-walls", ThreadRole.Control, () =>
        {
            FiltersError = Try(SeccompFilters.Install);
            // Compiling took this thread's arena of the heap to its size, for once.
            _ = Libc.malloc_trim(0);
            if (hasRoot)
                RootError = Try(() => Root = EmptyRoot.Enter());
        });
        _thread.Start();
    }

    /// <summary>Why there are no filters; null if there are. After <see cref="Join"/>, as the others.</summary>
    public Exception? FiltersError { get; private set; }

    /// <summary>Why there is no root; null if there is one, or none was asked for.</summary>
    public Exception? RootError { get; private set; }

    /// <summary>For all threads to enter; null without one.</summary>
    public EmptyRoot? Root { get; private set; }

    /// <summary>Returns when they are made.</summary>
    public void Join() => _thread.Join();

    public void Dispose()
    {
        Join();
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
