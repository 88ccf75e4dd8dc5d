using System.Runtime.ExceptionServices;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Loads a guest's kernel on a thread of its own, beside the making of its devices: both take milliseconds, and a user waits for the sum. One thread
/// owns it; the guest's memory must outlive it.
/// </summary>
internal sealed class GuestLoad : IDisposable
{
    private readonly LoadHelper _helper = new();
    private readonly Thread _thread;
    private BootEntry? _entry;
    private ExceptionDispatchInfo? _failure;

    internal GuestLoad(GuestMemory memory, BootRequest request)
    {
        _thread = HostThread.Create("boot", ThreadRole.Control, () => Run(memory, request with { Helper = _helper }));
        _thread.Start();
    }

    /// <summary>Helps until the end of the load. Throws what <see cref="KernelLoader.Load"/> threw.</summary>
    internal BootEntry Finish()
    {
        _helper.Help();
        _thread.Join();
        _failure?.Throw();
        return _entry!;
    }

    /// <summary>Waits too; how the load ended no longer matters.</summary>
    public void Dispose() => _thread.Join();

    private void Run(GuestMemory memory, BootRequest request)
    {
        try
        {
            _entry = KernelLoader.Load(memory, request);
        }
        catch (Exception e)
        {
            _failure = ExceptionDispatchInfo.Capture(e);
        }
        finally
        {
            _helper.End();
        }
    }
}
