using System.Runtime.ExceptionServices;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Lets a second thread help with what is long and can be cut in pieces, above all the copying of a file into guest RAM: who loads takes pieces from the front, the helper
/// from the back, until they meet. Without a helper the loader takes them all.
/// </summary>
internal sealed class LoadHelper
{
    /// <summary>Size and alignment of a piece of guest memory, that of a huge page: no two threads fill the same one.</summary>
    internal const ulong PieceBytes = 2 << 20;

    /// <summary>Fewer pieces are done before a helper is awake.</summary>
    internal const ulong WorthSharing = 4;

    private readonly object _gate = new();
    private Action<ulong>? _atBack;
    private ulong _front, _back;
    private bool _hasHelper, _isHelping, _isOver;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Does pieces 0 to <paramref name="pieces"/> - 1, each once; returns when all are done. Throws what one threw. One caller at a time.</summary>
    /// <param name="pieces">How many.</param>
    /// <param name="atFront">Does one, on this thread.</param>
    /// <param name="atBack">The same, on the helper's.</param>
    internal void Share(ulong pieces, Action<ulong> atFront, Action<ulong> atBack)
    {
        lock (_gate)
        {
            (_front, _back, _atBack, _failure) = (0, pieces, atBack, null);
            Monitor.PulseAll(_gate);
        }

        try
        {
            while (TryTakeFront(out ulong piece))
            {
                atFront(piece);
                // Who will help may still be waiting for a thread to start, by yielding, and a new one may be queued behind this one on its CPU.
                if (!Volatile.Read(ref _hasHelper))
                    Thread.Yield();
            }
        }
        finally
        {
            WaitForHelper();
        }

        _failure?.Throw();
    }

    /// <summary>Helps with whatever there is until <see cref="End"/>. One thread.</summary>
    internal void Help()
    {
        Volatile.Write(ref _hasHelper, true);
        while (TryTakeBack(out ulong piece, out Action<ulong> work))
        {
            ExceptionDispatchInfo? failure = null;
            try
            {
                work(piece);
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }

            lock (_gate)
            {
                _isHelping = false;
                _failure ??= failure;
                if (failure is not null)
                    _front = _back;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Nothing more will come.</summary>
    internal void End()
    {
        lock (_gate)
        {
            _isOver = true;
            Monitor.PulseAll(_gate);
        }
    }

    private bool TryTakeFront(out ulong piece)
    {
        lock (_gate)
        {
            piece = _front;
            if (_front == _back)
                return false;
            _front++;
            return true;
        }
    }

    private bool TryTakeBack(out ulong piece, out Action<ulong> work)
    {
        lock (_gate)
        {
            while (!_isOver && _front == _back)
                Monitor.Wait(_gate);
            work = _atBack!;
            if (_front == _back)
            {
                piece = 0;
                return false;
            }

            _isHelping = true;
            piece = --_back;
            return true;
        }
    }

    /// <summary>What was not begun is left; the file and the memory must stay until what was is done.</summary>
    private void WaitForHelper()
    {
        lock (_gate)
        {
            _front = _back;
            while (_isHelping)
                Monitor.Wait(_gate);
        }
    }
}
