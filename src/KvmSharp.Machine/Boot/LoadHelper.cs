using System.Runtime.ExceptionServices;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// Lets a second thread help to copy a long part of a file into guest RAM, which is bound by one CPU's memory bandwidth: who loads takes pieces from the front,
/// the helper from the back, until they meet. Without a helper the loader takes them all.
/// </summary>
internal sealed class LoadHelper
{
    /// <summary>Size and alignment of a piece in guest memory, that of a huge page: no two threads fill the same one.</summary>
    internal const ulong PieceBytes = 2 << 20;

    /// <summary>Fewer pieces are done before a helper is awake.</summary>
    internal const ulong WorthSharing = 4;

    private readonly object _gate = new();
    private Action<ulong>? _copyBack;
    private ulong _front, _back;
    private bool _isHelping, _isOver;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Copies pieces 0 to <paramref name="pieces"/> - 1, each once; returns when all are done. Throws what copying one threw. One caller at a time.</summary>
    /// <param name="pieces">How many.</param>
    /// <param name="copyFront">Copies one, on this thread.</param>
    /// <param name="copyBack">The same, on the helper's.</param>
    internal void Copy(ulong pieces, Action<ulong> copyFront, Action<ulong> copyBack)
    {
        lock (_gate)
        {
            (_front, _back, _copyBack, _failure) = (0, pieces, copyBack, null);
            Monitor.PulseAll(_gate);
        }

        try
        {
            while (TryTakeFront(out ulong piece))
                copyFront(piece);
        }
        finally
        {
            WaitForHelper();
        }

        _failure?.Throw();
    }

    /// <summary>Helps with whatever there is to copy until <see cref="End"/>. One thread.</summary>
    internal void Help()
    {
        while (TryTakeBack(out ulong piece, out Action<ulong> copy))
        {
            ExceptionDispatchInfo? failure = null;
            try
            {
                copy(piece);
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

    private bool TryTakeBack(out ulong piece, out Action<ulong> copy)
    {
        lock (_gate)
        {
            while (!_isOver && _front == _back)
                Monitor.Wait(_gate);
            copy = _copyBack!;
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
