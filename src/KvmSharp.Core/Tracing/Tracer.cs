using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvmSharp.Abi;

namespace KvmSharp.Core.Tracing;

/// <summary>
/// Where hot paths leave what they do, while somebody traces: <c>if (Tracer.IsOn) Tracer.Notification(name)</c>. Off it costs the test. On, a record
/// goes to a buffer of the calling thread; only a thread's first record allocates. Process-wide, since so are the threads. Any thread.
/// </summary>
public static class Tracer
{
    private static TraceSession? s_session;

    [ThreadStatic]
    private static TraceBuffer? t_buffer;

    /// <summary>True while a <see cref="TraceSession"/> runs.</summary>
    public static bool IsOn
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => s_session is not null;
    }

    /// <summary>The beginning of something that lasts; never 0.</summary>
    public static long Now => Stopwatch.GetTimestamp();

    /// <summary>The exit in progress on this vCPU's thread goes to this device. A string instruction has the last word.</summary>
    public static void SetSubject(TraceName device)
    {
        if (Buffer() is { } buffer)
            buffer.Subject = device;
    }

    /// <summary>An exit that is handled: <paramref name="since"/> KVM_RUN returned.</summary>
    public static void Exit(long since, TraceName reason) => AddExit(since, reason, TraceKind.Exit, 0, 0);

    /// <summary>The same for an access to a port, <paramref name="size"/> bytes wide.</summary>
    public static void PortExit(long since, TraceName reason, ushort port, int size, bool write) => AddExit(since, reason, TraceKind.PortExit, port, Detail(size, write));

    /// <summary>The same for an access to memory that is not RAM.</summary>
    public static void MemoryExit(long since, TraceName reason, ulong address, int size, bool write) => AddExit(since, reason, TraceKind.MemoryExit, address, Detail(size, write));

    /// <summary>This thread slept until now.</summary>
    public static void Idle(long since) => Buffer()?.Add(new TraceRecord { Time = since, Kind = TraceKind.Idle, First = (ulong)(Now - since) });

    /// <summary>This thread saw that the driver has rung for a queue.</summary>
    public static void Notification(TraceName queue) => Buffer()?.Add(new TraceRecord { Time = Now, Kind = TraceKind.Notification, Subject = queue });

    /// <param name="means">How it is sent.</param>
    /// <param name="source">GSI, or the message's address.</param>
    /// <param name="value">Level, or the message's data.</param>
    public static void Interrupt(TraceName means, ulong source, ulong value) =>
        Buffer()?.Add(new TraceRecord { Time = Now, Kind = TraceKind.Interrupt, Name = means, First = source, Second = value });

    /// <param name="request">The same number as for its <see cref="Complete"/>; nobody else's in between.</param>
    public static void Submit(nuint request, TraceName operation, TraceName image, ulong offsetBytes, ulong lengthBytes) => Buffer()?.Add(
        new TraceRecord { Time = Now, Kind = TraceKind.Submit, Name = operation, Subject = image, First = request, Second = offsetBytes, Third = lengthBytes });

    /// <param name="result">Bytes, or -errno.</param>
    public static void Complete(nuint request, TraceName operation, TraceName image, int result) => Buffer()?.Add(
        new TraceRecord { Time = Now, Kind = TraceKind.Complete, Name = operation, Subject = image, First = request, Second = (ulong)(long)result });

    /// <summary>This thread ends.</summary>
    internal static void Detach()
    {
        t_buffer?.End();
        t_buffer = null;
    }

    /// <summary>False: another session runs.</summary>
    internal static bool TryBegin(TraceSession session) => Interlocked.CompareExchange(ref s_session, session, null) is null;

    internal static void End() => Volatile.Write(ref s_session, null);

    private static byte Detail(int size, bool write) => (byte)(size | (write ? TraceRecord.WriteFlag : 0));

    private static void AddExit(long since, TraceName reason, TraceKind kind, ulong where, byte detail)
    {
        if (Buffer() is not { } buffer)
            return;
        buffer.Add(new TraceRecord
        {
            Time = since, Kind = kind, Name = reason, Subject = buffer.Subject, First = (ulong)(Now - since), Second = where, Detail = detail,
        });
        buffer.Subject = default;
    }

    /// <summary>This thread's buffer in the session that runs; null when it has just ended.</summary>
    private static TraceBuffer? Buffer()
    {
        TraceSession? session = s_session;
        TraceBuffer? buffer = t_buffer;
        return buffer is not null && ReferenceEquals(buffer.Session, session) ? buffer : Attach(session);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static TraceBuffer? Attach(TraceSession? session) =>
        t_buffer = session?.Open(Libc.gettid(), Thread.CurrentThread.Name ?? (Libc.gettid() == Environment.ProcessId ? "main" : "thread"));
}
