using KvmSharp.Core.Events;
using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Pci;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Pci;

/// <summary>Pins on a line that the guest's end of interrupt lowers.</summary>
public sealed class PciResampledTests : IDisposable
{
    private const uint Gsi = 19;
    private readonly FakeInterruptFabric _interrupts = new() { Resamples = true };
    private readonly EventLoop _loop = new(new EventLoopOptions { Name = "resample" });
    private readonly PciInterruptRouter _router;
    private readonly PciIntxPin _first, _second;

    public PciResampledTests()
    {
        _router = new PciInterruptRouter(_interrupts, 16);
        _first = _router.Connect(new Bdf(0, 3), 1);
        _second = _router.Connect(new Bdf(0, 7), 1);
        _loop.Start();
    }

    public void Dispose()
    {
        _router.Dispose();
        _loop.Dispose();
    }

    [Fact]
    public void SetLevel_Resampled_RaisesByIrqfdOnly()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        Assert.True(_interrupts.Resampled[Gsi].Level);
        Assert.Equal(0, _interrupts.Line(Gsi).Changes);
    }

    [Fact]
    public void SetLevel_False_LineStaysUntilTheEndOfInterrupt()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        _first.SetLevel(false);
        Assert.True(_interrupts.Resampled[Gsi].Level);
        Assert.False(_first.IsAsserted);
        EndOfInterrupt();
        Assert.False(_interrupts.Resampled[Gsi].Level);
    }

    [Fact]
    public void EndOfInterrupt_StillAsserted_RaisesAgain()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        AssertRaisedAgainAtTheEndOfInterrupt();
    }

    [Fact]
    public void EndOfInterrupt_AnotherPinAsserts_RaisesAgain()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        _second.SetLevel(true);
        _first.SetLevel(false);
        AssertRaisedAgainAtTheEndOfInterrupt();
        _second.SetLevel(false);
        EndOfInterrupt();
        Assert.False(_interrupts.Resampled[Gsi].Level);
    }

    [Fact]
    public void SetLevel_BeforeTheEndOfTheLastInterrupt_IsNotLost()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        _first.SetLevel(false);
        _first.SetLevel(true);
        AssertRaisedAgainAtTheEndOfInterrupt();
    }

    [Fact]
    public void Resample_LineAsserted_MovesOver()
    {
        _second.SetLevel(true);
        _first.Resample(_loop);
        Assert.True(_interrupts.Resampled[Gsi].Level);
        Assert.False(_interrupts.Line(Gsi).Level);
    }

    [Fact]
    public void Resample_OfOneLine_LeavesTheOthersAndIsDoneOnce()
    {
        _first.Resample(_loop);
        _second.Resample(_loop);
        PciIntxPin other = _router.Connect(new Bdf(0, 3), 2);
        other.SetLevel(true);
        Assert.True(_interrupts.Line(16).Level);
        Assert.Equal([Gsi], _interrupts.Resampled.Keys);
    }

    [Fact]
    public void Resample_HostWithoutIt_DrivesTheLine()
    {
        var interrupts = new FakeInterruptFabric();
        using var router = new PciInterruptRouter(interrupts, 16);
        PciIntxPin pin = router.Connect(new Bdf(0, 3), 1);
        pin.Resample(_loop);
        pin.SetLevel(true);
        Assert.True(interrupts.Line(Gsi).Level);
        pin.SetLevel(false);
        Assert.False(interrupts.Line(Gsi).Level);
    }

    [Fact]
    public void Dispose_Resampled_DetachesAndPinsChangeNothingMore()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        _router.Dispose();
        Assert.Empty(_interrupts.Resampled);
        _first.SetLevel(false);
        Assert.False(_interrupts.Line(Gsi).Level);
    }

    [Fact]
    public void SetLevel_ManyTimes_AllocatesNothing()
    {
        _first.Resample(_loop);
        _first.SetLevel(true);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            _first.SetLevel(i % 2 == 0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private void AssertRaisedAgainAtTheEndOfInterrupt()
    {
        _interrupts.Resampled[Gsi].EndOfInterrupt();
        Assert.True(SpinWait.SpinUntil(() => _interrupts.Resampled[Gsi].Level, TimeSpan.FromSeconds(20)));
    }

    /// <summary>Returns when the line has been told.</summary>
    private void EndOfInterrupt()
    {
        FakeResampledInput input = _interrupts.Resampled[Gsi];
        input.EndOfInterrupt();
        Assert.True(SpinWait.SpinUntil(() => !input.IsLoweringPending, TimeSpan.FromSeconds(20)));
        _loop.Settle();
    }
}
