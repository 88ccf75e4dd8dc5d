using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.TestKit.Fakes;

/// <summary>The kernel's end of a resampling irqfd: a write raises the input, the end of interrupt lowers it and says so.</summary>
public sealed unsafe class FakeResampledInput(EventFd trigger, EventFd lowered)
{
    private bool _level;

    /// <summary>The input's level, now that all writes so far are seen.</summary>
    public bool Level => _level |= trigger.Drain();

    /// <summary>Whether nobody has taken note of the last end of interrupt.</summary>
    public bool IsLoweringPending
    {
        get
        {
            pollfd item = new() { fd = lowered.Value, events = LibcConstants.POLLIN };
            return Libc.poll(&item, 1, 0) > 0;
        }
    }

    public void EndOfInterrupt()
    {
        _ = Level;
        _level = false;
        lowered.Signal();
    }
}
