using KvmSharp.Core.Events;
using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The I/O thread of a device, which no exception may end.</summary>
internal sealed class FuzzLoop : IEventSink, IDisposable
{
    private Exception? _failure;

    internal FuzzLoop()
    {
        Loop = new EventLoop(new EventLoopOptions { Name = "fuzz-io", OnFailure = exception => _failure = exception });
        Loop.Start();
    }

    internal EventLoop Loop { get; }

    /// <summary>Returns when the thread has done what was posted before. Throws as <see cref="Check"/>.</summary>
    internal void Settle()
    {
        Loop.Invoke(this, 0);
        Check();
    }

    /// <summary>Throws <see cref="FuzzFailure"/> if the thread has ended.</summary>
    internal void Check()
    {
        if (_failure is { } failure)
            throw new FuzzFailure("an exception ended the I/O thread", failure);
    }

    public void Dispose() => Loop.Dispose();

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        // Being called at all is what Settle waits for.
    }
}
