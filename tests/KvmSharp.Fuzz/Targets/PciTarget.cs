using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Pci;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// Configuration space by ports and ECAM, BARs that move over each other and over everything else, MSI-X tables and pending bits,
/// pins. Two functions with all kinds of BARs.
/// </summary>
internal sealed class PciTarget : IFuzzTarget
{
    private const ulong EcamStart = 0xE000_0000, Window32 = 0xC000_0000;
    private const int Vectors = 5, EcamBuses = 2;
    private const uint TableOffset = 0x800, PendingOffset = 0xC00;

    private readonly PioBus _pio = new();
    private readonly MmioBus _mmio = new();
    private readonly FakeInterruptFabric _interrupts = new();
    private readonly PciRoot _root;
    private readonly PciEndpoint[] _functions;

    internal PciTarget()
    {
        _root = new PciRoot(_pio, _mmio, new PciWindows
        {
            Memory32Start = Window32, Memory32Length = 0x2000_0000, Memory64Start = 0x10_0000_0000, Memory64Length = 0x10_0000_0000,
            IoStart = 0x1000, IoLength = 0xF000,
        }, new PciInterruptRouter(_interrupts, 16), new ResetControl(new QuietMachine()));
        _pio.Register(PciConfigPorts.FirstPort, PciConfigPorts.PortCount, _root.ConfigPorts, "pci-config");
        _mmio.Register(EcamStart, EcamBuses * PciRoot.EcamBytesPerBus, _root.Ecam, "ecam");
        _functions = [NewFunction("one", express: true), NewFunction("two", express: false)];
        foreach (PciEndpoint function in _functions)
            _root.Attach(function);
        // The first guest write fixes what a reset goes back to.
        foreach (PciEndpoint function in _functions)
            Select(function.Address, 0x3C, [0]);
    }

    public void Run(FuzzScript script)
    {
        Span<byte> data = stackalloc byte[8];
        while (!script.AtEnd)
        {
            byte how = script.U8();
            Bdf address = new(0, how >> 4 & 1 | (how >> 4 & 2) >> 1 ^ 1);
            int width = 1 << (how & 3);
            bool write = (how & 4) != 0;
            switch (how >> 5)
            {
                case 0 or 1 or 2:
                    Configure(script, address, script.U8(), Math.Min(width, 4), write);
                    break;
                case 3:
                    Memory(script, EcamStart + ((ulong)script.U16() << 12 | script.U16()) % (EcamBuses * PciRoot.EcamBytesPerBus), width, write);
                    break;
                case 4 or 5:
                    PciEndpoint function = _functions[how >> 4 & 1];
                    ulong start = function.FindBar(0)?.Address ?? Window32;
                    Memory(script, start + script.U16() % 0x1010u, width, write);
                    break;
                case 6:
                    data.Clear();
                    script.Fill(data[..Math.Min(width, 4)]);
                    if (write)
                        _pio.Out((ushort)(PciConfigPorts.FirstPort + script.Below(PciConfigPorts.PortCount)), data[..Math.Min(width, 4)]);
                    else
                        _pio.In((ushort)(PciConfigPorts.FirstPort + script.Below(PciConfigPorts.PortCount)), data[..Math.Min(width, 4)]);
                    break;
                default:
                    Host(script, _functions[how >> 4 & 1]);
                    break;
            }
        }

        _root.Reset();
        foreach (PciEndpoint function in _functions)
        {
            FuzzFailure.Unless(!function.Msix!.IsEnabled, "MSI-X is enabled after a reset");
            FuzzFailure.Unless(!function.Intx!.IsAsserted, "a pin is asserted after a reset");
        }
    }

    public void Probe()
    {
        Span<byte> data = stackalloc byte[4];
        foreach (PciEndpoint function in _functions)
        {
            ulong? bar = function.FindBar(0)!.Address;
            FuzzFailure.Unless(bar is not null, "a BAR is not decoded after a reset");
            BinaryPrimitives.WriteUInt32LittleEndian(data, 0x1234_5678);
            _mmio.Write(bar!.Value + TableOffset + 8, data);
            data.Clear();
            _mmio.Read(bar.Value + TableOffset + 8, data);
            FuzzFailure.Unless(BinaryPrimitives.ReadUInt32LittleEndian(data) == 0x1234_5678, "an MSI-X table does not keep its data");
        }

        _root.Reset();
    }

    public void Dispose()
    {
        _root.Dispose();
        foreach (PciEndpoint function in _functions)
            function.Dispose();
    }

    private PciEndpoint NewFunction(string name, bool express)
    {
        PciEndpoint function = new(name, new PciIdentity { VendorId = 0x1AF4, DeviceId = 0x1042, BaseClass = 1, SubsystemVendorId = 0x1AF4, SubsystemId = 2 }, null, express);
        MsixTable msix = new(_interrupts, Vectors);
        PciBarRegions regions = new PciBarRegions().Add(0, 0x100, new Scratch())
            .Add(TableOffset, (ulong)msix.TableLength, msix.Table).Add(PendingOffset, (ulong)msix.PendingLength, msix.PendingBits);
        function.AddBar(new PciBar(0, PciBarKind.Memory32, 0x1000, regions));
        function.AddBar(new PciBar(2, PciBarKind.Memory64, 0x10_0000, new Scratch()));
        function.AddBar(new PciBar(4, 0x20, new Scratch()));
        function.AddMsix(msix, 0, TableOffset, PendingOffset);
        function.AddIntx();
        return function;
    }

    private void Configure(FuzzScript script, Bdf address, int register, int width, bool write)
    {
        Span<byte> data = stackalloc byte[4];
        data.Clear();
        if (write)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data, (uint)script.Number());
            Select(address, register, data[..width]);
            return;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(data, Address(address, register));
        _pio.Out(PciConfigPorts.FirstPort, data);
        _pio.In((ushort)(0xCFC + (register & 3)), data[..width]);
        script.Observe((uint)register, data[0]);
    }

    private void Select(Bdf address, int register, ReadOnlySpan<byte> data)
    {
        Span<byte> select = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(select, Address(address, register));
        _pio.Out(PciConfigPorts.FirstPort, select);
        _pio.Out((ushort)(0xCFC + (register & 3)), data);
    }

    private static uint Address(Bdf address, int register) => 0x8000_0000u | (uint)address.Value << 8 | (uint)(register & 0xFC);

    private void Memory(FuzzScript script, ulong address, int width, bool write)
    {
        Span<byte> data = stackalloc byte[8];
        data.Clear();
        if (write)
        {
            script.Fill(data[..width]);
            _mmio.Write(address, data[..width]);
            return;
        }

        _mmio.Read(address, data[..width]);
        script.Observe(0x100, data[0]);
    }

    private static void Host(FuzzScript script, PciEndpoint function)
    {
        byte what = script.U8();
        if (what < 128)
            function.Msix!.Signal(what % (Vectors + 2));
        else
            function.Intx!.SetLevel((what & 1) != 0);
    }

    /// <summary>Registers that take and give anything.</summary>
    private sealed class Scratch : IMmioDevice, IPioDevice
    {
        public BusStatus Read(ulong offset, Span<byte> data) => Give(data);

        public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => BusStatus.Ok;

        public BusStatus In(ushort offset, Span<byte> data) => Give(data);

        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data) => BusStatus.Ok;

        private static BusStatus Give(Span<byte> data)
        {
            data.Fill(0x11);
            return BusStatus.Ok;
        }
    }
}
