using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Chipset;

public sealed class AcpiPmTests : IDisposable
{
    private readonly FakeClock _clock = new(DateTimeOffset.UnixEpoch);
    private readonly FakeIrqLine _sci = new(9);
    private readonly FakeMachineControl _machine = new();
    private readonly AcpiPm _pm;

    public AcpiPmTests() => _pm = new AcpiPm(_sci, _machine, time: _clock);

    public void Dispose() => _pm.Dispose();

    [Fact]
    public void Timer_OneSecond_CountsItsFrequency()
    {
        Assert.Equal(0u, _pm.In32(8));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(3_579_545u, _pm.In32(8));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(unchecked((uint)(3_579_545UL * 3601)), _pm.In32(8));
    }

    [Fact]
    public void Timer_24Bits_Wraps()
    {
        using var pm = new AcpiPm(_sci, _machine, timer32: false, time: _clock);
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(17_897_725u & 0xFF_FFFF, pm.In32(8));
    }

    [Fact]
    public void TimerStatus_TopBitToggles_SetAndClearedByWrite()
    {
        _clock.Advance(TimeSpan.FromSeconds(601));
        Assert.Equal(1, _pm.In16(0));
        _pm.Out16(0, 1);
        Assert.Equal(0, _pm.In16(0));
    }

    [Fact]
    public void TimerInterrupt_Enabled_RaisesSciWithoutAnAccess()
    {
        using var pm = new AcpiPm(_sci, _machine, timer32: false);
        pm.Out16(2, 1);
        Assert.True(SpinWait.SpinUntil(() => _sci.Level, TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void PowerButton_Enabled_RaisesSciUntilAcknowledged()
    {
        _pm.Out16(2, 0x100);
        Assert.True(_pm.PressPowerButton());
        Assert.True(_sci.Level);
        Assert.Equal(0x100, _pm.In16(0));
        _pm.Out16(0, 0x100);
        Assert.False(_sci.Level);
        Assert.Equal(0, _pm.In16(0));
    }

    [Fact]
    public void PowerButton_NotEnabled_StatusOnly()
    {
        Assert.False(_pm.PressPowerButton());
        Assert.False(_sci.Level);
        Assert.Equal(0x01, _pm.In8(1));
        _pm.Out8(3, 0x01);
        Assert.True(_sci.Level);
    }

    [Fact]
    public void Enable_Write_KeepsDefinedBits()
    {
        _pm.Out16(2, 0xFFFF);
        Assert.Equal(0x0721, _pm.In16(2));
    }

    [Fact]
    public void Control_Read_SciEnabledAndSleepEnableReadsZero()
    {
        Assert.Equal(1, _pm.In16(4));
        _pm.Out16(4, 0x2002);
        Assert.Equal(0x0003, _pm.In16(4));
    }

    [Fact]
    public void Control_S5_RequestsPowerOff()
    {
        _pm.Out16(4, (AcpiPm.DefaultSleepTypeS5 << 10) | (1 << 13));
        Assert.Equal([MachineRequest.PowerOff], _machine.Requests);
    }

    [Fact]
    public void Control_S5ByBytes_RequestsPowerOff()
    {
        _pm.Out8(4, 0);
        _pm.Out8(5, (AcpiPm.DefaultSleepTypeS5 << 2) | 0x20);
        Assert.Equal([MachineRequest.PowerOff], _machine.Requests);
    }

    [Fact]
    public void Control_OtherSleepType_WakesAtOnce()
    {
        _pm.Out16(4, (1 << 10) | (1 << 13));
        Assert.Empty(_machine.Requests);
        Assert.Equal(0x8000, _pm.In16(0));
    }

    [Fact]
    public void Gpe_Raised_SciFollowsEnableAndStatus()
    {
        _pm.RaiseGpe(9);
        Assert.False(_sci.Level);
        _pm.Out16(14, 1 << 9);
        Assert.True(_sci.Level);
        Assert.Equal(1 << 9, _pm.In16(12));
        _pm.Out16(12, 1 << 9);
        Assert.False(_sci.Level);
    }

    [Fact]
    public void Reset_AfterUse_LineDownAndRegistersZero()
    {
        _pm.Out16(2, 0x100);
        _pm.PressPowerButton();
        _pm.Reset();
        Assert.False(_sci.Level);
        Assert.Equal(0u, _pm.In32(0));
    }

    [Fact]
    public void Fuzz_RandomAccesses_NeverThrows() => DeviceFuzz.Pio(_pm, AcpiPm.PortCount, 4);
}
