using KvmSharp.Core.Chars;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>Answers the guest's n-th byte with what the test says, on a thread of its own as a real backend does. Outlives resets.</summary>
internal sealed class ScriptedBackend(Func<int, byte> reply) : ICharBackend
{
    private ICharFrontend? _frontend;
    private int _count;

    internal int Count => Volatile.Read(ref _count);

    internal int Starts { get; private set; }

    public void Start(ICharFrontend frontend)
    {
        Starts++;
        _frontend = frontend;
    }

    public void Write(ReadOnlySpan<byte> data)
    {
        for (int i = 0; i < data.Length; i++)
        {
            byte answer = reply(Interlocked.Increment(ref _count));
            ThreadPool.UnsafeQueueUserWorkItem(_ => _frontend!.Receive([answer]), null);
        }
    }

    public void OnFrontendReady()
    {
        // Nothing is kept for later.
    }

    public void Dispose()
    {
        // Owns nothing.
    }
}
