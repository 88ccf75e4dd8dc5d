using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Chipset;

public sealed class RtcTests : IDisposable
{
    private readonly FakeClock _clock = new(new DateTimeOffset(2026, 11, 21, 23, 4, 5, TimeSpan.Zero));
    private readonly FakeIrqLine _irq = new(8);
    private readonly Rtc _rtc;

    public RtcTests() => _rtc = new Rtc(_irq, new RtcOptions { LowMemoryBytes = 0xC000_0000, HighMemoryBytes = 0x1_4000_0000 }, _clock);

    public void Dispose() => _rtc.Dispose();

    [Theory]
    [InlineData(0x00, 0x05)]
    [InlineData(0x02, 0x04)]
    [InlineData(0x04, 0x23)]
    [InlineData(0x06, 0x07)]
    [InlineData(0x07, 0x21)]
    [InlineData(0x08, 0x11)]
    [InlineData(0x09, 0x26)]
    [InlineData(0x32, 0x20)]
    public void Time_Bcd24_EachRegister(int index, int expected) => Assert.Equal(expected, Read(index));

    [Fact]
    public void Time_Binary_EachRegister()
    {
        Write(0x0B, 0x06);
        Assert.Equal([5, 4, 23, 7, 21, 11, 26, 20], ReadAll());
    }

    [Fact]
    public void Hours_12HourMode_PmBit()
    {
        Write(0x0B, 0x00);
        Assert.Equal(0x91, Read(0x04));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(0x12, Read(0x04));
        _clock.Advance(TimeSpan.FromHours(12));
        Assert.Equal(0x92, Read(0x04));
    }

    [Fact]
    public void SetMode_NewTime_RunsFromThere()
    {
        Write(0x0B, 0x82);
        Write(0x00, 0x58);
        Write(0x02, 0x59);
        Write(0x04, 0x23);
        Write(0x07, 0x31);
        Write(0x08, 0x12);
        Write(0x09, 0x99);
        Write(0x32, 0x19);
        Assert.Equal(0x58, Read(0x00));
        _clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(0x58, Read(0x00));
        Write(0x0B, 0x02);
        Assert.Equal(0x58, Read(0x00));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal([0x00, 0x00, 0x00, 0x07, 0x01, 0x01, 0x00, 0x20], ReadAll());
    }

    [Fact]
    public void Time_WrittenWithoutSet_TakesEffectAtOnce()
    {
        Write(0x02, 0x30);
        Assert.Equal(0x30, Read(0x02));
        Assert.Equal(0x05, Read(0x00));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0x06, Read(0x00));
    }

    [Fact]
    public void RegisterA_JustBeforeTheSecond_UpdateInProgress()
    {
        Assert.Equal(0x26, Read(0x0A));
        _clock.Advance(TimeSpan.FromMicroseconds(999_900));
        Assert.Equal(0xA6, Read(0x0A));
        _clock.Advance(TimeSpan.FromMicroseconds(100));
        Assert.Equal(0x26, Read(0x0A));
    }

    [Fact]
    public void RegisterD_Read_ValidRam() => Assert.Equal(0x80, Read(0x0D));

    [Fact]
    public void RegisterC_UpdateFlag_SetEachSecondAndClearedByRead()
    {
        Read(0x0C);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0x10, Read(0x0C) & 0x90);
        Assert.Equal(0x00, Read(0x0C));
        Assert.False(_rtc.HasTimerThread);
    }

    [Fact]
    public void UpdateInterrupt_Enabled_RaisesUntilRegisterCRead()
    {
        Write(0x0B, 0x12);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
        Assert.Equal(0x90, Read(0x0C) & 0x90);
        Assert.False(_irq.Level);
        Assert.True(_rtc.HasTimerThread);
    }

    [Fact]
    public void Alarm_AtGivenTime_RaisedOnce()
    {
        Write(0x05, 0x23);
        Write(0x03, 0x05);
        Write(0x01, 0x00);
        Write(0x0B, 0x22);
        _clock.Advance(TimeSpan.FromSeconds(54));
        _rtc.OnTimer();
        Assert.False(_irq.Level);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
        Assert.Equal(0xA0, Read(0x0C) & 0xA0);
        _clock.Advance(TimeSpan.FromSeconds(10));
        _rtc.OnTimer();
        Assert.False(_irq.Level);
    }

    /// <summary>The host's clock is set, or the host slept.</summary>
    [Fact]
    public void Clock_JumpsForward_EachEventIsRaisedOnce()
    {
        Write(0x05, 0x23);
        Write(0x03, 0x05);
        Write(0x01, 0x00);
        Write(0x0B, 0x72);
        _clock.Advance(TimeSpan.FromDays(400));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
        Assert.Equal(0xF0, Read(0x0C));
        _rtc.OnTimer();
        Assert.False(_irq.Level);
        Assert.Equal(0x00, Read(0x0C));
        Assert.Equal(0x27, Read(0x09));
    }

    [Fact]
    public void Clock_JumpsBack_NothingIsRaisedUntilTimeGoesOn()
    {
        Write(0x0B, 0x52);
        _clock.Advance(TimeSpan.FromDays(-400));
        _rtc.OnTimer();
        Assert.False(_irq.Level);
        Assert.Equal(0x25, Read(0x09));
        _clock.Advance(TimeSpan.FromSeconds(1));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
        Assert.Equal(0xD0, Read(0x0C));
    }

    [Fact]
    public void Alarm_DontCareHoursAndMinutes_EveryMinute()
    {
        Write(0x05, 0xFF);
        Write(0x03, 0xC0);
        Write(0x01, 0x10);
        Write(0x0B, 0x22);
        for (int i = 0; i < 3; i++)
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
            _rtc.OnTimer();
            Assert.True(_irq.Level);
            Read(0x0C);
        }
    }

    [Fact]
    public void Alarm_AcrossMidnight_Found()
    {
        Write(0x05, 0x00);
        Write(0x03, 0x00);
        Write(0x01, 0x01);
        Write(0x0B, 0x22);
        _clock.Advance(TimeSpan.FromMinutes(56));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
    }

    [Fact]
    public void Alarm_ImpossibleTime_NeverAndHarmless()
    {
        Write(0x05, 0x99);
        Write(0x0B, 0x22);
        _clock.Advance(TimeSpan.FromDays(2));
        _rtc.OnTimer();
        Assert.False(_irq.Level);
    }

    [Fact]
    public void Periodic_Rate6_FlagAfter976Microseconds()
    {
        Read(0x0C);
        Write(0x0B, 0x42);
        _clock.Advance(TimeSpan.FromMicroseconds(977));
        _rtc.OnTimer();
        Assert.True(_irq.Level);
        Assert.Equal(0xC0, Read(0x0C));
    }

    [Fact]
    public void PeriodicInterrupt_RealClock_ArrivesFromTimerThread()
    {
        using var rtc = new Rtc(_irq, new RtcOptions());
        rtc.Out8(0, 0x0B);
        rtc.Out8(1, 0x42);
        Assert.True(SpinWait.SpinUntil(() => _irq.Level, TimeSpan.FromSeconds(10)));
    }

    [Theory]
    [InlineData(0x15, 0x80)]
    [InlineData(0x16, 0x02)]
    [InlineData(0x17, 0xFF)]
    [InlineData(0x18, 0xFF)]
    [InlineData(0x30, 0xFF)]
    [InlineData(0x31, 0xFF)]
    [InlineData(0x34, 0x00)]
    [InlineData(0x35, 0xBF)]
    [InlineData(0x5B, 0x00)]
    [InlineData(0x5C, 0x40)]
    [InlineData(0x5D, 0x01)]
    public void MemorySize_Registers(int index, int expected) => Assert.Equal(expected, Read(index));

    [Fact]
    public void ShutdownStatus_Write_ReadsBack()
    {
        Write(0x0F, 0x0A);
        Assert.Equal(0x0A, Read(0x0F));
    }

    [Fact]
    public void Index_NmiBit_Ignored()
    {
        _rtc.Out8(0, 0x8D);
        Assert.Equal(0x80, _rtc.In8(1));
        Assert.Equal(0xFF, _rtc.In8(0));
    }

    [Fact]
    public void Reset_InterruptsEnabled_DisabledAndTimeKept()
    {
        Write(0x02, 0x30);
        Write(0x0B, 0x72);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _rtc.OnTimer();
        _rtc.Reset();
        Assert.False(_irq.Level);
        Assert.Equal(0x02, Read(0x0B));
        Assert.Equal(0x30, Read(0x02));
    }

    [Fact]
    public void Fuzz_RandomAccessesAndTime_NeverThrows()
    {
        var random = new Random(3);
        for (int i = 0; i < 500; i++)
        {
            DeviceFuzz.Pio(_rtc, Rtc.PortCount, i, 40);
            _clock.Advance(TimeSpan.FromMilliseconds(random.Next(100_000)));
            _rtc.OnTimer();
        }
    }

    private byte Read(int index)
    {
        _rtc.Out8(0, index);
        return _rtc.In8(1);
    }

    private void Write(int index, int value)
    {
        _rtc.Out8(0, index);
        _rtc.Out8(1, value);
    }

    private int[] ReadAll() => [.. new[] { 0, 2, 4, 6, 7, 8, 9, 0x32 }.Select(i => (int)Read(i))];
}
