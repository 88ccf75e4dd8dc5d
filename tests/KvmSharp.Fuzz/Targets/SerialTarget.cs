using KvmSharp.Core.Chars;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>COM1 with a host end that types, breaks and stalls.</summary>
internal sealed class SerialTarget : PortTarget
{
    private const ushort Port = 0x3F8;

    private readonly FakeCharBackend _host = new() { KeepsOutput = false };
    private readonly Serial16550 _serial;

    internal SerialTarget()
        : base(Port, Serial16550.PortCount)
    {
        _serial = new Serial16550(_host, Line);
        Bus.Register(Port, Serial16550.PortCount, _serial, "serial");
    }

    public override void Probe()
    {
        long before = _host.Written;
        Out(Port, (byte)'x');
        FuzzFailure.Unless(_host.Written == before + 1, "a byte to the serial port does not come out");
        FuzzFailure.Unless((In(Port + 5) & 0x60) == 0x60, "the transmitter does not become empty");
        FuzzFailure.Unless(_host.Feed([0x55]) == 1, "the serial port takes no input");
        FuzzFailure.Unless(In(Port) == 0x55 && !Line.Level, "input does not come out of the serial port");
    }

    public override void Dispose()
    {
        _serial.Dispose();
        _host.Dispose();
    }

    protected override void Reset()
    {
        _serial.Reset();
        FuzzFailure.Unless(!Line.Level, "the serial line is high after a reset");
    }

    protected override void OnHost(FuzzScript script)
    {
        byte what = script.U8();
        if (what < 200)
        {
            Span<byte> text = stackalloc byte[32];
            script.Fill(text[..(what % 32)]);
            _host.Feed(text[..(what % 32)]);
        }
        else if (what < 220)
        {
            _serial.ReceiveBreak();
        }
        else
        {
            _host.Raise((CharEvent)(what % 4));
        }
    }
}
