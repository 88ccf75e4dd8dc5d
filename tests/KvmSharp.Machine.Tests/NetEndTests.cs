using KvmSharp.Backends;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost;
using KvmSharp.TestKit.Net;
using KvmSharp.TestKit.Vhost;

namespace KvmSharp.Machine.Tests;

/// <summary>When the kernel serves a network interface, and what happens if it cannot.</summary>
public sealed class NetEndTests
{
    [Fact]
    public void Create_NotAskedFor_LeavesVhostAlone()
    {
        using SourceBackend tap = new(new BackendException("must not be opened"));

        using NetEnd end = NetEnd.Create(tap, vhost: false, onFallBack: null);

        Assert.Empty(end.Vhost);
        Assert.False(tap.IsDisposed);
    }

    [Fact]
    public void Create_KernelServes_DisposesItsEndsWithTheTap()
    {
        FakeVhost vhost = new();
        using SourceBackend tap = new(null, vhost);
        NetEnd end = NetEnd.Create(tap, vhost: true, onFallBack: null);
        Assert.Same(vhost, Assert.Single(end.Vhost));

        end.Dispose();

        Assert.True(vhost.IsDisposed);
        Assert.True(tap.IsDisposed);
    }

    [Fact]
    public void Create_KernelCannot_SaysWhyOnceAndGoesOn()
    {
        List<string> reasons = [];
        using SourceBackend tap = new(new BackendException("there is no vhost"));

        using NetEnd end = NetEnd.Create(tap, vhost: true, reasons.Add);

        Assert.Equal(["there is no vhost"], reasons);
        Assert.Empty(end.Vhost);
        Assert.False(tap.IsDisposed);
    }

    [Fact]
    public void Create_KernelCannotAndForced_ThrowsAndClosesTheTap()
    {
        using SourceBackend tap = new(new BackendException("there is no vhost"));

        Assert.Throws<BackendException>(() => NetEnd.Create(tap, vhost: true, onFallBack: null));

        Assert.True(tap.IsDisposed);
    }

    [Fact]
    public void Create_NotATap_IsRefused()
    {
        BackendException error = Assert.Throws<BackendException>(() => NetEnd.Create(new FakeNetBackend(), vhost: true, onFallBack: null));

        Assert.Equal("the kernel serves only taps: leave vhost out", error.Message);
    }

    private sealed class SourceBackend(BackendException? refusal, params FakeVhost[] vhost) : INetBackend, IVhostSource
    {
        public bool IsDisposed { get; private set; }

        public int QueuePairs => 1;

        public int Mtu => 1500;

        public NetOffloads SupportedOffloads => NetOffloads.None;

        public bool LinkUp => true;

        public string? Loss => null;

        public IReadOnlyList<IVhostBackend> OpenVhost() => refusal is null ? vhost : throw refusal;

        public INetQueue OpenQueue(int index) => throw new NotSupportedException();

        public bool SetOffloads(NetOffloads offloads) => true;

        public bool SetActiveQueuePairs(int count) => true;

        public void Dispose() => IsDisposed = true;
    }
}
