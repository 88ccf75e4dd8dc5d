using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// MC146818 real-time clock with 128 bytes of CMOS memory, index at port 0x70 and data at 0x71. Runs on the host's UTC clock plus
/// an offset that the guest changes by setting the time. Flags are computed when read; a timer thread exists only once the guest
/// has enabled an interrupt. Thread-safe.
/// </summary>
public sealed class Rtc : IPioDevice, ISharedAccessLock, IDisposable
{
    public const int PortCount = 2;

    private const int Seconds = 0x00;
    private const int SecondsAlarm = 0x01;
    private const int Minutes = 0x02;
    private const int MinutesAlarm = 0x03;
    private const int Hours = 0x04;
    private const int HoursAlarm = 0x05;
    private const int DayOfWeek = 0x06;
    private const int DayOfMonth = 0x07;
    private const int Month = 0x08;
    private const int Year = 0x09;
    private const int RegisterA = 0x0A;
    private const int RegisterB = 0x0B;
    private const int RegisterC = 0x0C;
    private const int RegisterD = 0x0D;
    private const int Century = 0x32;

    private const byte UpdateInProgress = 0x80;
    private const byte ControlSet = 0x80;
    private const byte PeriodicBit = 0x40;
    private const byte AlarmBit = 0x20;
    private const byte UpdateBit = 0x10;
    private const byte InterruptBits = PeriodicBit | AlarmBit | UpdateBit;
    private const byte InterruptFlag = 0x80;
    private const byte ControlBinary = 0x04;
    private const byte Control24Hours = 0x02;
    private const byte ValidRam = 0x80;
    private const byte AlarmDontCare = 0xC0;

    // UIP rises 244 us before the update (MC146818 data sheet, figure 14); the update itself takes no time here.
    private const long UpdateWarningTicks = 244 * TimeSpan.TicksPerMicrosecond;
    private const int CrystalHz = 32768;

    /// <summary>How late an alarm may be after the host's clock was set.</summary>
    private const long LookAgainTicks = 60 * TimeSpan.TicksPerSecond;

    // wiring
    private readonly IIrqLine _interrupt;
    private readonly TimeProvider _time;
    private readonly DeviceTimer _timer;

    // volatile state
    private readonly byte[] _cmos = new byte[128];
    private byte _index;
    private byte _flags;
    private long _offsetTicks;

    /// <summary>Guest time, in ticks, up to which flags have been computed.</summary>
    private long _evaluatedTicks;
    private bool _level;

    /// <param name="interrupt">IRQ 8.</param>
    public Rtc(IIrqLine interrupt, RtcOptions options, TimeProvider? time = null)
    {
        _interrupt = interrupt;
        _time = time ?? TimeProvider.System;
        _timer = new DeviceTimer("rtc", OnTimer);
        _cmos[RegisterA] = 0x26;
        _cmos[RegisterB] = Control24Hours;
        DescribeMemory(options);
        _evaluatedTicks = GuestTicks;
    }

    /// <inheritdoc/>
    public Lock AccessLock { get; } = new();

    /// <summary>True once an interrupt was enabled; no thread exists before.</summary>
    internal bool HasTimerThread => _timer.IsStarted;

    private long GuestTicks => Math.Clamp(_time.GetUtcNow().Ticks + _offsetTicks, 0, DateTime.MaxValue.Ticks);

    private bool Binary => (_cmos[RegisterB] & ControlBinary) != 0;

    private bool Hours24 => (_cmos[RegisterB] & Control24Hours) != 0;

    private bool Setting => (_cmos[RegisterB] & ControlSet) != 0;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        lock (AccessLock)
        {
            for (int i = 0; i < data.Length; i++)
                data[i] = offset + i == 0 ? (byte)0xFF : Read(_index);
        }

        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        lock (AccessLock)
        {
            for (int i = 0; i < data.Length; i++)
            {
                // Bit 7 of the index port gates NMI, which nothing raises.
                if (offset + i == 0)
                    _index = (byte)(data[i] & 0x7F);
                else
                    Write(_index, data[i]);
            }
        }

        return BusStatus.Ok;
    }

    /// <summary>RESET# (MC146818 §"RESET"): interrupts off; time and CMOS contents stay. vCPUs are stopped.</summary>
    public void Reset()
    {
        lock (AccessLock)
        {
            _index = 0;
            if (Setting)
                LeaveSetMode();
            _cmos[RegisterB] &= unchecked((byte)~(ControlSet | InterruptBits));
            _flags = 0;
            UpdateInterrupt();
            Rearm();
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        lock (AccessLock)
        {
            _flags = 0;
            UpdateInterrupt();
        }
    }

    /// <summary>Brings flags and the interrupt line up to date: the timer thread's work.</summary>
    internal void OnTimer()
    {
        lock (AccessLock)
        {
            Evaluate();
            Rearm();
        }
    }

    private void DescribeMemory(RtcOptions options)
    {
        const ulong Mib = 1 << 20;
        Store16(0x15, 640);
        ulong extendedKib = Math.Min(options.LowMemoryBytes > Mib ? (options.LowMemoryBytes - Mib) >> 10 : 0, ushort.MaxValue);
        Store16(0x17, (uint)extendedKib);
        Store16(0x30, (uint)extendedKib);
        Store16(0x34, (uint)Math.Min(options.LowMemoryBytes > 16 * Mib ? (options.LowMemoryBytes - (16 * Mib)) >> 16 : 0, ushort.MaxValue));
        uint high = (uint)Math.Min(options.HighMemoryBytes >> 16, 0xFF_FFFF);
        Store16(0x5B, high & 0xFFFF);
        _cmos[0x5D] = (byte)(high >> 16);
    }

    private void Store16(int index, uint value)
    {
        _cmos[index] = (byte)value;
        _cmos[index + 1] = (byte)(value >> 8);
    }

    private byte Read(int index)
    {
        switch (index)
        {
            case Seconds or Minutes or Hours or (>= DayOfWeek and <= Year) or Century:
                return Setting ? _cmos[index] : EncodeField(RtcTime.From(new DateTime(GuestTicks)), index);
            case RegisterA:
                bool updating = !Setting && GuestTicks % TimeSpan.TicksPerSecond >= TimeSpan.TicksPerSecond - UpdateWarningTicks;
                return (byte)(_cmos[RegisterA] | (updating ? UpdateInProgress : 0));
            case RegisterC:
                Evaluate();
                byte flags = _flags;
                _flags = 0;
                UpdateInterrupt();
                Rearm();
                return (flags & _cmos[RegisterB] & InterruptBits) != 0 ? (byte)(flags | InterruptFlag) : flags;
            case RegisterD:
                return ValidRam;
            default:
                return _cmos[index];
        }
    }

    private void Write(int index, byte value)
    {
        Evaluate();
        switch (index)
        {
            case Seconds or Minutes or Hours or (>= DayOfWeek and <= Year) or Century:
                WriteTime(index, value);
                break;
            case RegisterA:
                _cmos[RegisterA] = (byte)(value & ~UpdateInProgress);
                break;
            case RegisterB:
                WriteControl(value);
                break;
            case RegisterC or RegisterD:
                break;
            default:
                _cmos[index] = value;
                break;
        }

        UpdateInterrupt();
        Rearm();
    }

    private void WriteControl(byte value)
    {
        if (!Setting && (value & ControlSet) != 0)
        {
            // SET freezes the visible time; the guest edits the frozen copy.
            FreezeTime();
            value &= unchecked((byte)~UpdateBit);
        }

        bool leaving = Setting && (value & ControlSet) == 0;
        _cmos[RegisterB] = value;
        // The frozen bytes are read back in the format that holds when SET is cleared.
        if (leaving)
            LeaveSetMode();
    }

    private void FreezeTime()
    {
        RtcTime now = RtcTime.From(new DateTime(GuestTicks));
        foreach (byte index in (ReadOnlySpan<byte>)[Seconds, Minutes, Hours, DayOfWeek, DayOfMonth, Month, Year, Century])
            _cmos[index] = EncodeField(now, index);
    }

    private void LeaveSetMode() => SetTime(DecodeFields(), fractionTicks: 0);

    private void WriteTime(int index, byte value)
    {
        if (Setting)
        {
            _cmos[index] = value;
            return;
        }

        long fraction = GuestTicks % TimeSpan.TicksPerSecond;
        FreezeTime();
        _cmos[index] = value;
        SetTime(DecodeFields(), fraction);
    }

    private void SetTime(RtcTime time, long fractionTicks)
    {
        _offsetTicks = time.ToDateTime().Ticks + fractionTicks - _time.GetUtcNow().Ticks;
        _evaluatedTicks = GuestTicks;
    }

    private RtcTime DecodeFields() => new(
        RtcTime.Decode(_cmos[Seconds], Binary),
        RtcTime.Decode(_cmos[Minutes], Binary),
        RtcTime.DecodeHour(_cmos[Hours], Binary, Hours24),
        RtcTime.Decode(_cmos[DayOfWeek], Binary),
        RtcTime.Decode(_cmos[DayOfMonth], Binary),
        RtcTime.Decode(_cmos[Month], Binary),
        (RtcTime.Decode(_cmos[Century], Binary) * 100) + RtcTime.Decode(_cmos[Year], Binary));

    private byte EncodeField(RtcTime time, int index) => index switch
    {
        Seconds => RtcTime.Encode(time.Second, Binary),
        Minutes => RtcTime.Encode(time.Minute, Binary),
        Hours => RtcTime.EncodeHour(time.Hour, Binary, Hours24),
        DayOfWeek => RtcTime.Encode(time.DayOfWeek, Binary),
        DayOfMonth => RtcTime.Encode(time.Day, Binary),
        Month => RtcTime.Encode(time.Month, Binary),
        Year => RtcTime.Encode(time.Year % 100, Binary),
        _ => RtcTime.Encode(time.Year / 100, Binary),
    };

    /// <summary>Sets the flags of everything that happened since the last evaluation.</summary>
    private void Evaluate()
    {
        long now = GuestTicks;
        long last = _evaluatedTicks;
        _evaluatedTicks = now;
        // The host clock may step back; events of the repeated time are not reported twice.
        if (now <= last)
            return;
        if (PeriodTicks is long period && now / period != last / period)
            _flags |= PeriodicBit;
        if (!Setting && now / TimeSpan.TicksPerSecond != last / TimeSpan.TicksPerSecond)
        {
            _flags |= UpdateBit;
            if (NextAlarm(last) is long alarm && alarm <= now)
                _flags |= AlarmBit;
        }

        UpdateInterrupt();
    }

    private long? PeriodTicks
    {
        get
        {
            int rate = _cmos[RegisterA] & 0x0F;
            if (rate == 0)
                return null;
            // Rates 1 and 2 repeat 8 and 9 with a 32768 Hz crystal.
            int shift = rate < 3 ? rate + 6 : rate - 1;
            return TimeSpan.TicksPerSecond / (CrystalHz >> shift);
        }
    }

    /// <summary>The first alarm second after <paramref name="afterTicks"/>; null if the alarm registers match no time of day.</summary>
    private long? NextAlarm(long afterTicks)
    {
        long midnight = afterTicks - (afterTicks % TimeSpan.TicksPerDay);
        long firstSecond = ((afterTicks - midnight) / TimeSpan.TicksPerSecond) + 1;
        for (int day = 0; day < 2; day++)
        {
            if (AlarmSecond(day == 0 ? (int)firstSecond : 0) is int second)
                return midnight + (day * TimeSpan.TicksPerDay) + (second * TimeSpan.TicksPerSecond);
        }

        return null;
    }

    private int? AlarmSecond(int from)
    {
        for (int hour = from / 3600; hour < 24; hour++)
        {
            if (!Matches(_cmos[HoursAlarm], RtcTime.EncodeHour(hour, Binary, Hours24)))
                continue;
            int firstMinute = Math.Max(from - (hour * 3600), 0) / 60;
            for (int minute = firstMinute; minute < 60; minute++)
            {
                if (!Matches(_cmos[MinutesAlarm], RtcTime.Encode(minute, Binary)))
                    continue;
                int firstSecond = Math.Max(from - (hour * 3600) - (minute * 60), 0);
                for (int second = firstSecond; second < 60; second++)
                {
                    if (Matches(_cmos[SecondsAlarm], RtcTime.Encode(second, Binary)))
                        return (hour * 3600) + (minute * 60) + second;
                }
            }
        }

        return null;
    }

    private static bool Matches(byte alarm, byte value) => alarm >= AlarmDontCare || alarm == value;

    private void Rearm()
    {
        long now = GuestTicks;
        long next = long.MaxValue;
        byte enabled = _cmos[RegisterB];
        // A flag that is already set keeps the line up until the guest reads register C; nothing more can happen before.
        if ((enabled & ~_flags & PeriodicBit) != 0 && PeriodTicks is long period)
            next = now - (now % period) + period;
        if ((enabled & ~_flags & UpdateBit) != 0 && !Setting)
            next = Math.Min(next, now - (now % TimeSpan.TicksPerSecond) + TimeSpan.TicksPerSecond);
        if ((enabled & ~_flags & AlarmBit) != 0 && !Setting && NextAlarm(now) is long alarm)
            next = Math.Min(next, alarm);
        // The host's clock may be set meanwhile, the timer's is not: it looks again before long.
        if (next == long.MaxValue)
            _timer.Disarm();
        else
            _timer.Arm(new TimeSpan(Math.Min(next - now, LookAgainTicks)));
    }

    private void UpdateInterrupt()
    {
        bool level = (_flags & _cmos[RegisterB] & InterruptBits) != 0;
        if (level == _level)
            return;
        _level = level;
        _interrupt.SetLevel(level);
    }
}
