using System.Collections.Concurrent;
using KvmSharp.Backends.Net;
using KvmSharp.TestKit.Net;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Virtio.Tests.Devices.Net;

public sealed class NetLossTests
{
    [Fact]
    public void LinkCheck_HostEndIsGone_IsReportedOnce()
    {
        using LineLogger logger = new();
        FakeNetBackend host = new();
        var options = new VirtioNetOptions { Mac = new MacAddress(0x52_54_00_12_34_56), LinkCheckNs = 1_000_000, Logger = logger };
        using VirtioDeviceBed bed = new(loop => new VirtioNetDevice(options, host, [loop]), features: 0);
        bed.Start();
        host.Loss = "tap t0 is gone";

        Assert.True(logger.Lines.TryTake(out string? line, TimeSpan.FromSeconds(30)));
        Assert.StartsWith("tap t0 is gone", line, StringComparison.Ordinal);

        // Two more checks: each tells the driver of a change.
        host.LinkUp = false;
        Assert.True(SpinWait.SpinUntil(() => bed.Interrupt.ConfigSignals == 1, TimeSpan.FromSeconds(30)));
        host.LinkUp = true;
        Assert.True(SpinWait.SpinUntil(() => bed.Interrupt.ConfigSignals == 2, TimeSpan.FromSeconds(30)));
        Assert.Empty(logger.Lines);
    }

    private sealed class LineLogger : ILogger, IDisposable
    {
        public BlockingCollection<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));

        public void Dispose() => Lines.Dispose();
    }
}
