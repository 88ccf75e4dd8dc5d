using KvmSharp.Core.Chars;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>Devices of a few ports, through the bus: accesses of every width at and around them, host events in between.</summary>
internal abstract class PortTarget(ushort firstPort, int portCount) : IFuzzTarget
{
    protected PioBus Bus { get; } = new();

    protected FakeIrqLine Line { get; } = new();

    public void Run(FuzzScript script)
    {
        Span<byte> data = stackalloc byte[4];
        while (!script.AtEnd)
        {
            byte how = script.U8();
            if (how >= 0xF0)
            {
                OnHost(script);
                continue;
            }

            int width = 1 << ((how >> 1) % 3);
            // One port on each side is not the device's: accesses that straddle.
            ushort port = (ushort)(firstPort - 1 + ((how >> 3) % (portCount + 2)));
            data.Clear();
            if ((how & 1) == 0)
            {
                Bus.In(port, data[..width]);
                script.Observe(port, data[0] | (ulong)(Line.Level ? 1 : 0) << 8);
            }
            else
            {
                script.Fill(data[..width]);
                Bus.Out(port, data[..width]);
            }
        }

        Reset();
    }

    public abstract void Probe();

    public abstract void Dispose();

    protected abstract void Reset();

    protected virtual void OnHost(FuzzScript script)
    {
    }

    protected byte In(int port)
    {
        byte value = 0;
        Bus.In((ushort)port, new Span<byte>(ref value));
        return value;
    }

    protected void Out(int port, byte value) => Bus.Out((ushort)port, [value]);
}
