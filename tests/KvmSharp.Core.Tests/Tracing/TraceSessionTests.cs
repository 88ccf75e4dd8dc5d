using System.Text.Json;
using KvmSharp.Abi;
using KvmSharp.Core.Tracing;
using KvmSharp.TestKit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Core.Tests.Tracing;

/// <summary>A session takes the records of the whole process, so these tests run alone.</summary>
[CollectionDefinition(nameof(TraceSessionTests), DisableParallelization = true)]
[Collection(nameof(TraceSessionTests))]
public sealed class TraceSessionTests : IDisposable
{
    private static readonly TraceName s_reason = TraceName.Of("reason"), s_device = TraceName.Of("a \"quoted\\\" dévice\n"), s_read = TraceName.Of("read");

    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void Session_EveryKind_IsAnEventWithItsNumbers()
    {
        using (TraceSession session = Start())
        {
            Tracer.SetSubject(s_device);
            Tracer.PortExit(Tracer.Now, s_reason, 0x3F8, 1, write: true);
            Tracer.MemoryExit(Tracer.Now, s_reason, 0xFEC0_0010, 4, write: false);
            Tracer.Exit(Tracer.Now, s_reason);
            Tracer.Idle(Tracer.Now);
            Tracer.Notification(s_device);
            Tracer.Interrupt(s_reason, 24, 0x4021);
            Tracer.Submit(0x1000, s_read, s_device, 4096, 512);
            Tracer.Complete(0x1000, s_read, s_device, -5);
        }

        TraceDocument trace = TraceDocument.Read(_path);
        JsonElement[] events = [.. trace.Events.Where(e => e.GetProperty("tid").GetInt32() == Libc.gettid() && TraceDocument.Text(e, "ph") != "M")];
        Assert.Equal(
        [
            "reason a \"quoted\\\" dévice\n", "reason", "reason", "idle", "notification a \"quoted\\\" dévice\n", "reason", "read a \"quoted\\\" dévice\n", "read a \"quoted\\\" dévice\n",
        ], events.Select(e => TraceDocument.Text(e, "name")));
        Assert.Equal(
        [
            """{"port":"0x3f8","bytes":1,"write":true}""", """{"address":"0xfec00010","bytes":4,"write":false}""", "{}", "{}", "{}",
            """{"source":"0x18","value":"0x4021"}""", """{"offset":4096,"length":512}""", """{"result":-5}""",
        ], events.Select(e => e.GetProperty("args").GetRawText()));
        Assert.Single(trace.CompletedRequests());
        Assert.Equal(0, trace.Lost);
        Assert.Contains(trace.Events, e => TraceDocument.Text(e, "name") == "process_name" && TraceDocument.Text(e.GetProperty("args"), "name") == "test");
    }

    [Fact]
    public void Session_ReadWhileItGrows_IsWholeAtAnyMoment()
    {
        using TraceSession session = Start();
        Assert.NotEmpty(TraceDocument.ReadGrowing(_path).Events);
        for (int i = 1; i <= 20; i++)
        {
            Tracer.Notification(s_device);
            int expected = i;
            Assert.True(SpinWait.SpinUntil(() => TraceDocument.ReadGrowing(_path).OfCategory("notification").Length == expected, 10_000));
        }
    }

    [Fact]
    public void Session_ThreadEnds_ItsRecordsAndNameAreThere()
    {
        const int count = 1000;
        using (TraceSession session = Start())
        {
            Thread thread = HostThread.Create("traced thread with a long name", ThreadRole.Runtime, () =>
            {
                for (int i = 0; i < count; i++)
                    Tracer.Notification(s_device);
            });
            thread.Start();
            thread.Join();
        }

        TraceDocument trace = TraceDocument.Read(_path);
        int id = trace.ThreadOf("traced thread with a long name");
        Assert.Equal(count, trace.OfCategory("notification").Count(e => e.GetProperty("tid").GetInt32() == id));
    }

    [Fact]
    public void Session_FileFull_EndsThereAndCountsTheRest()
    {
        const int count = 200_000, limit = 1 << 20;
        CountingLogger log = new();
        long lost;
        using (TraceSession session = Start(limit, log))
        {
            for (int i = 0; i < count; i++)
                Tracer.Interrupt(s_reason, 1, 2);
            session.Dispose();
            lost = session.Lost;
        }

        TraceDocument trace = TraceDocument.Read(_path);
        Assert.InRange(new FileInfo(_path).Length, limit, 2 * limit);
        Assert.Equal(lost, trace.Lost);
        Assert.Equal(count, trace.OfCategory("interrupt").Length + lost);
        Assert.Single(trace.Events, e => TraceDocument.Text(e, "name") == "trace full");
        Assert.Equal(1, log.Warnings);
    }

    [Theory]
    [InlineData("/nowhere/at/all")]
    [InlineData("/tmp")]
    [InlineData("/dev/full")]
    public void Start_PathCannotBeWritten_Throws(string path)
    {
        LinuxException error = Assert.Throws<LinuxException>(() => TraceSession.Start(new TraceOptions { Path = path, ProcessName = "test", Logger = NullLogger.Instance }));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.False(Tracer.IsOn);
    }

    [Fact]
    public void Start_WhileAnotherRuns_Throws()
    {
        using TraceSession session = Start();

        Assert.Throws<InvalidOperationException>(() => Start());
        Assert.True(Tracer.IsOn);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Records_OnAndOff_AllocateNothing(bool on)
    {
        using TraceSession? session = on ? Start() : null;
        Leave(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Leave(100_000);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Buffer_Full_LosesTheNewestAndCountsThem()
    {
        using TraceSession session = Start();
        var buffer = new TraceBuffer(session, 1, "");
        for (int i = 0; i < TraceBuffer.Capacity + 5; i++)
            buffer.Add(new TraceRecord { Time = i });

        Assert.Equal(5, buffer.Lost);
        for (int i = 0; i < TraceBuffer.Capacity; i++)
            Assert.True(buffer.TryTake(out TraceRecord record) && record.Time == i);
        Assert.False(buffer.TryTake(out _));
        buffer.Add(new TraceRecord { Time = -1 });
        Assert.True(buffer.TryTake(out TraceRecord last) && last.Time == -1);
    }

    private static void Leave(int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (!Tracer.IsOn)
                continue;
            Tracer.SetSubject(s_device);
            Tracer.PortExit(Tracer.Now, s_reason, 1, 1, write: false);
            Tracer.Submit(1, s_read, s_device, 1, 1);
            Tracer.Complete(1, s_read, s_device, 1);
        }
    }

    private TraceSession Start(ulong limit = TraceOptions.DefaultLimitBytes, ILogger? log = null) =>
        TraceSession.Start(new TraceOptions { Path = _path, LimitBytes = limit, ProcessName = "test", Logger = log ?? NullLogger.Instance });

    private sealed class CountingLogger : ILogger
    {
        private int _warnings;

        public int Warnings => _warnings;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Interlocked.Increment(ref _warnings);
    }
}
