using KvmSharp.Backends.Block;
using KvmSharp.Core;

namespace KvmSharp.TestKit.Block;

/// <summary>
/// A disk with faults: requests that a rule matches never reach the inner disk and complete with the rule's result (-EIO, -ENOSPC, a short
/// count, -EINTR). Can also hold requests back, to have some in flight. Rules may be set from any thread.
/// </summary>
public sealed class FaultyBlockBackend(IBlockBackend inner) : IBlockBackend
{
    private readonly Lock _gate = new();
    private readonly List<(BlockOperation Operation, int Result, int Left)> _rules = [];
    private readonly List<Io> _engines = [];

    public IBlockBackend Inner => inner;

    public ulong CapacityBytes => inner.CapacityBytes;

    public BlockLimits Limits => inner.Limits;

    /// <summary>Requests answered by a rule.</summary>
    public int Injected { get; private set; }

    /// <summary>While true, requests are taken and not passed on; setting it to false wakes the engines.</summary>
    public bool Hold
    {
        get;
        set
        {
            lock (_gate)
            {
                field = value;
                if (!value)
                    _engines.ForEach(engine => engine.Completion.Signal());
            }
        }
    }

    /// <summary>The next <paramref name="count"/> requests of a kind complete with <paramref name="result"/>.</summary>
    public void Fail(BlockOperation operation, int result, int count = 1)
    {
        lock (_gate)
            _rules.Add((operation, result, count));
    }

    public bool RefreshCapacity() => inner.RefreshCapacity();

    public IBlockIo OpenIo(int depth, IBlockCompletion sink)
    {
        Io io = new(this, inner.OpenIo(depth, sink), depth, sink);
        lock (_gate)
            _engines.Add(io);
        return io;
    }

    public void Dispose() => inner.Dispose();

    private bool TryMatch(BlockOperation operation, out int result)
    {
        lock (_gate)
        {
            int index = _rules.FindIndex(rule => rule.Operation == operation && rule.Left > 0);
            result = index >= 0 ? _rules[index].Result : 0;
            if (index < 0)
                return false;
            _rules[index] = _rules[index] with { Left = _rules[index].Left - 1 };
            Injected++;
            return true;
        }
    }

    private sealed class Io(FaultyBlockBackend disk, IBlockIo inner, int depth, IBlockCompletion sink) : IBlockIo
    {
        private readonly Queue<BlockRequest> _held = new(depth);
        private readonly Queue<(uint Tag, int Result)> _faults = new(depth);

        public EventFd Completion => inner.Completion;

        public int InFlight => inner.InFlight + _held.Count + _faults.Count;

        public bool HasCompletions => inner.HasCompletions || _faults.Count > 0 || (_held.Count > 0 && !disk.Hold);

        public bool CompletesAtOnce => inner.CompletesAtOnce;

        public void SetCompletionEvents(bool enabled) => inner.SetCompletionEvents(enabled);

        public bool TryEnqueue(in BlockRequest request)
        {
            if (InFlight >= depth)
                return false;
            if (disk.Hold)
            {
                _held.Enqueue(request);
                return true;
            }

            return Pass(request);
        }

        public void Submit()
        {
            inner.Submit();
            if (_faults.Count > 0)
                Completion.Signal();
        }

        public int Reap()
        {
            if (!disk.Hold)
            {
                while (_held.TryDequeue(out BlockRequest request))
                    Pass(request);
                inner.Submit();
            }

            int count = inner.Reap();
            for (; _faults.TryDequeue(out (uint Tag, int Result) item); count++)
                sink.OnCompleted(item.Tag, item.Result);
            return count;
        }

        public void Drain()
        {
            while (InFlight > 0)
            {
                Reap();
                if (_held.Count == 0)
                    inner.Drain();
                else
                    Thread.Sleep(1);
            }
        }

        public void Dispose()
        {
            lock (disk._gate)
                disk._engines.Remove(this);
            inner.Dispose();
        }

        private bool Pass(in BlockRequest request)
        {
            if (!disk.TryMatch(request.Operation, out int result))
                return inner.TryEnqueue(request);
            _faults.Enqueue((request.Tag, result));
            return true;
        }
    }
}
