using KvmSharp.Core.Chars;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The ACPI event, control, timer and general purpose blocks.</summary>
internal sealed class AcpiTarget : PortTarget
{
    private const ushort Port = 0x600;

    private readonly FuzzClock _clock = new();
    private readonly QuietMachine _machine = new();
    private readonly AcpiPm _acpi;

    internal AcpiTarget()
        : base(Port, AcpiPm.PortCount)
    {
        _acpi = new AcpiPm(Line, _machine, time: _clock);
        Bus.Register(Port, AcpiPm.PortCount, _acpi, "acpi-pm");
    }

    public override void Probe()
    {
        int before = _machine.Requests;
        Bus.Out(Port + AcpiPm.ControlOffset, [0x00, (byte)(AcpiPm.DefaultSleepTypeS5 << 2 | 0x20)]);
        FuzzFailure.Unless(_machine.Requests == before + 1, "S5 does not switch off");
        FuzzFailure.Unless((In(Port + AcpiPm.ControlOffset) & 1) != 0, "SCI_EN reads as clear");
        Reset();
    }

    public override void Dispose() => _acpi.Dispose();

    protected override void Reset()
    {
        _acpi.Reset();
        FuzzFailure.Unless(!Line.Level, "the SCI is high after a reset");
        _clock.Restart();
    }

    protected override void OnHost(FuzzScript script)
    {
        byte what = script.U8();
        if (what < 64)
            _acpi.PressPowerButton();
        else if (what < 128)
            _acpi.RaiseGpe(what % 16);
        else
            _clock.Advance((long)(script.Number() % (ulong)TimeSpan.TicksPerDay) * 100);
    }
}
