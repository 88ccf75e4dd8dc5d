using System.Diagnostics;
using KvmSharp.Abi;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Core.Tracing;

/// <summary>
/// Traces the process from its start until it is disposed: a thread of its own, "trace", brings what the others leave in their buffers to the file,
/// which can be read at any moment. Events that find a buffer or the file full are counted, in the file and in a warning. One at a time in a process.
/// </summary>
public sealed class TraceSession : IDisposable
{
    private const int IntervalMs = 10;
    private const int PartBytes = 192 * 1024;

    private readonly TraceOptions _options;
    private readonly TraceFile _file;
    private readonly TraceJson _json;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Lock _gate = new();
    private readonly List<TraceBuffer> _buffers = [];
    private readonly Thread _writer;
    private long _lost;
    private long _lostWritten;
    private int _unwritten;
    private bool _full;
    private bool _disposed;

    private TraceSession(TraceOptions options)
    {
        _options = options;
        _file = new TraceFile(options.Path);
        _json = new TraceJson(Tracer.Now, options.ProcessName);
        _writer = HostThread.Create("trace", ThreadRole.Runtime, Write);
    }

    /// <summary>Begins. Throws <see cref="LinuxException"/> if the file cannot be written, <see cref="InvalidOperationException"/> while another session runs.</summary>
    public static TraceSession Start(TraceOptions options)
    {
        var session = new TraceSession(options);
        try
        {
            session.WriteHead();
        }
        catch
        {
            session._file.Dispose();
            throw;
        }

        if (!Tracer.TryBegin(session))
        {
            session._file.Dispose();
            throw new InvalidOperationException("a trace is being written already");
        }

        session._writer.Start();
        return session;
    }

    /// <summary>Events that did not reach the file.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Ends the trace; what other threads do from now on is not in it.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        Tracer.End();
        _stop.Set();
        _writer.Join();
        _stop.Dispose();
        _json.Dispose();
        _file.Dispose();
        if (Lost > 0)
            _options.Logger.LogWarning("{Lost} events are not in {Path}{Reason}", Lost, _options.Path, _full ? ": it is full" : "");
    }

    /// <summary>A buffer for the calling thread.</summary>
    internal TraceBuffer Open(int threadId, string threadName)
    {
        var buffer = new TraceBuffer(this, threadId, threadName);
        lock (_gate)
            _buffers.Add(buffer);
        return buffer;
    }

    private void Write()
    {
        bool last;
        do
        {
            last = _stop.Wait(IntervalMs);
            foreach (TraceBuffer buffer in Buffers())
                Empty(buffer);
            Flush();
        }
        while (!last);
    }

    private TraceBuffer[] Buffers()
    {
        lock (_gate)
            return [.. _buffers];
    }

    private void Empty(TraceBuffer buffer)
    {
        // Before the records: those it left before it ended are all seen then.
        bool ended = buffer.HasEnded;
        if (!buffer.IsIntroduced && !_full)
        {
            _json.WriteThread(buffer.ThreadId, buffer.ThreadName);
            buffer.IsIntroduced = true;
        }

        while (buffer.TryTake(out TraceRecord record))
        {
            if (_full)
            {
                Volatile.Write(ref _lost, _lost + 1);
                continue;
            }

            _json.Write(buffer.ThreadId, record);
            _unwritten++;
            if (_json.Length >= PartBytes)
                Flush();
        }

        ReportLoss(buffer);
        if (!ended)
            return;
        lock (_gate)
            _buffers.Remove(buffer);
    }

    private void ReportLoss(TraceBuffer buffer)
    {
        long missing = buffer.Lost - buffer.LostReported;
        if (missing == 0)
            return;
        buffer.LostReported += missing;
        Volatile.Write(ref _lost, _lost + missing);
        if (!_full)
            _json.WriteLoss(buffer.ThreadId, missing, Tracer.Now);
    }

    private void WriteHead()
    {
        int error = _file.Append(_json.Take(0, out int tail), tail);
        if (error < 0)
            throw new LinuxException($"write {_options.Path}", -error);
    }

    private void Flush()
    {
        if (!_full && (ulong)(_file.Length + _json.Length) >= _options.LimitBytes)
        {
            _json.WriteFull(Tracer.Now);
            _full = true;
        }

        if (_json.Length == 0 && _lostWritten == _lost)
            return;
        _lostWritten = _lost;
        int error = _file.Append(_json.Take(_lost, out int tail), tail);
        if (error < 0)
            GiveUp(error);
        _unwritten = 0;
    }

    // A full disk is a full file: events behind those that are missing would not be worth much.
    private void GiveUp(int error)
    {
        Volatile.Write(ref _lost, _lost + _unwritten);
        if (_full)
            return;
        _full = true;
        _options.Logger.LogWarning("{Reason}", new LinuxException($"write {_options.Path}", -error).Message);
    }
}
