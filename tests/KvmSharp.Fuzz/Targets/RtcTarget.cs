using KvmSharp.Core.Chars;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The clock, with time that passes and jumps.</summary>
internal sealed class RtcTarget : PortTarget
{
    private const ushort Port = 0x70;

    private readonly FuzzClock _clock = new();
    private readonly Rtc _rtc;

    internal RtcTarget()
        : base(Port, Rtc.PortCount)
    {
        _rtc = new Rtc(Line, new RtcOptions { LowMemoryBytes = 64 << 20 }, _clock);
        Bus.Register(Port, Rtc.PortCount, _rtc, "rtc");
    }

    public override void Probe()
    {
        Out(Port, 0x40);
        Out(Port + 1, 0xA5);
        FuzzFailure.Unless(In(Port + 1) == 0xA5, "the CMOS does not keep a byte");
        Out(Port, 0x0D);
        FuzzFailure.Unless((In(Port + 1) & 0x80) != 0, "the CMOS says that it lost its power");
    }

    public override void Dispose() => _rtc.Dispose();

    protected override void Reset()
    {
        _rtc.Reset();
        FuzzFailure.Unless(!Line.Level, "the clock's line is high after a reset");
        _clock.Restart();
    }

    protected override void OnHost(FuzzScript script) => _clock.Advance((long)(script.Number() % (ulong)TimeSpan.TicksPerDay) * (script.Flag() ? 1 : 400));
}
