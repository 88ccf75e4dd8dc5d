using KvmSharp.Core.Chars;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The keyboard controller and the small reset ports around it.</summary>
internal sealed class KeyboardTarget : PortTarget
{
    private readonly QuietMachine _machine = new();
    private readonly I8042 _controller;

    internal KeyboardTarget()
        : base(I8042.DataPortNumber, 6)
    {
        _controller = new I8042(_machine, Line);
        Bus.Register(I8042.DataPortNumber, 1, _controller.DataPort, "i8042");
        Bus.Register(SystemControlB.Port, 1, new SystemControlB(), "port61");
        Bus.Register(I8042.CommandPortNumber, 1, _controller.CommandPort, "i8042");
    }

    public override void Probe()
    {
        Out(I8042.CommandPortNumber, 0xAA);
        FuzzFailure.Unless((In(I8042.CommandPortNumber) & 1) != 0 && In(I8042.DataPortNumber) == 0x55, "the keyboard controller fails its self test");
    }

    public override void Dispose()
    {
    }

    protected override void Reset()
    {
        _controller.Reset();
        FuzzFailure.Unless(!Line.Level, "the keyboard's line is high after a reset");
    }
}
