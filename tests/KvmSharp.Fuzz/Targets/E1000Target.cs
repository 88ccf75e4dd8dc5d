using System.Diagnostics;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Net.E1000;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The e1000: registers of memory and of the I/O window, both descriptor rings with legacy, context and data descriptors, packets from the host.</summary>
internal sealed class E1000Target : IFuzzTarget
{
    private const ulong TransmitRing = FuzzGuest.Rings, ReceiveRing = FuzzGuest.Rings + 0x1000;
    private const int RingCount = 32;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);
    private static readonly uint[] s_registers =
    [
        CTRL, STATUS, EECD, EERD, MDIC, 0xC0, 0xC4, 0xC8, 0xD0, 0xD8, RCTL, TCTL, 0x0178, 0x0410, RDBAL, RDBAH, RDLEN, RDH, RDT, 0x2820, 0x282C,
        TDBAL, TDBAH, TDLEN, TDH, TDT, 0x3820, 0x3828, 0x382C, 0x5000, 0x5200, RAL0, RAL0 + 4, 0x5600, 0x5800, 0x4000, 0x40C0,
    ];

    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly PioBus _pio = new();
    private readonly MmioBus _mmio = new();
    private readonly FakeInterruptFabric _interrupts = new();
    private readonly FuzzNet _net = new();
    private readonly FuzzLoop _loop = new();
    private readonly PciRoot _root;
    private readonly E1000Device _device;
    private readonly ulong _base;
    private readonly ushort _window;
    private uint _transmitAt;

    internal E1000Target()
    {
        _device = new E1000Device(new E1000Options { Mac = new MacAddress(0x5254_0012_3456), LinkCheckNs = 0 }, _net, _memory, _loop.Loop);
        _root = new PciRoot(_pio, _mmio, new PciWindows { Memory32Start = 0xC000_0000, Memory32Length = 0x1000_0000, IoStart = 0x1000, IoLength = 0x1000 },
            new PciInterruptRouter(_interrupts, 16));
        _root.Attach(new Bdf(0, 1), _device.Function);
        _base = _device.Function.FindBar(0)!.Address!.Value;
        _window = (ushort)_device.Function.FindBar(2)!.Address!.Value;
        Reset();
    }

    public void Run(FuzzScript script)
    {
        try
        {
            byte how = script.U8();
            if ((how & 1) != 0)
                StartTransmit();
            if ((how & 2) != 0)
                StartReceive((uint)(script.U16() << 8 | how));
            while (!script.AtEnd)
                Do(script);
            _loop.Settle();
        }
        finally
        {
            _net.Clear();
            Reset();
        }
    }

    public void Probe()
    {
        StartTransmit();
        _memory.TryWrite(new GuestAddress(TransmitRing), FuzzGuest.Data);
        _memory.TryWrite(new GuestAddress(TransmitRing + 8), 64UL | 0x0B00_0000); // EOP, IFCS, RS
        this[TDT] = 1;
        long start = Stopwatch.GetTimestamp();
        ulong control;
        while (_memory.TryRead(new GuestAddress(TransmitRing + 8), out control) && (control >> 32 & 1) == 0)
        {
            _loop.Settle();
            FuzzFailure.Unless(Stopwatch.GetElapsedTime(start) < s_patience, "a frame is not sent after a reset");
        }

        Reset();
    }

    public void Dispose()
    {
        _root.Dispose();
        _device.Dispose();
        _loop.Dispose();
        _net.Close();
        _memory.Dispose();
    }

    private uint this[uint register]
    {
        get
        {
            Span<byte> data = stackalloc byte[4];
            _mmio.Read(_base + register, data);
            return BitConverter.ToUInt32(data);
        }

        set
        {
            Span<byte> data = stackalloc byte[4];
            BitConverter.TryWriteBytes(data, value);
            _mmio.Write(_base + register, data);
        }
    }

    private void Do(FuzzScript script)
    {
        byte op = script.U8();
        switch (op & 15)
        {
            case < 3:
                this[s_registers[script.Below(s_registers.Length)]] = (uint)script.Number();
                break;
            case 3:
                uint register = s_registers[script.Below(s_registers.Length)];
                script.Observe(register, this[register] & 0xFF);
                break;
            case 4 or 5 or 6:
                Descriptor(script);
                break;
            case 7:
                this[TDT] = _transmitAt;
                break;
            case 8:
                _loop.Settle();
                break;
            case 9:
                _net.OnHost(script);
                break;
            case 10:
                StartReceive((uint)(script.U16() << 8 | script.U8()));
                break;
            case 11:
                StartTransmit();
                break;
            case 12:
                this[RDT] = script.U8() % (uint)RingCount;
                break;
            case 13:
                Span<byte> data = stackalloc byte[4];
                BitConverter.TryWriteBytes(data, (uint)script.Number());
                _pio.Out((ushort)(_window + (op >> 4 & 4)), data[..(1 << script.Below(3))]);
                _pio.In((ushort)(_window + (op >> 4 & 4)), data);
                break;
            case 14:
                this[(uint)(script.U16() & ~3) % Length] = (uint)script.Number();
                break;
            default:
                _memory.TryWrite(new GuestAddress((op & 0x80) != 0 ? TransmitRing + script.U16() % 0x200u : ReceiveRing + script.U16() % 0x200u), script.Number());
                break;
        }
    }

    /// <summary>One transmit descriptor; bit 29 makes it an extended one, bits 20 to 23 its type (manual §3.3).</summary>
    private void Descriptor(FuzzScript script)
    {
        byte shape = script.U8();
        ulong at = TransmitRing + 16 * (ulong)(_transmitAt % RingCount);
        ulong address = (shape & 0x30) switch
        {
            0x30 => script.Number(),
            0x20 => script.U64(), // a context: offsets of the checksums
            _ => FuzzGuest.Data + (ulong)script.U8() * 0x100,
        };
        uint length = (shape & 0x0C) == 0x0C ? (uint)script.Number() & 0xF_FFFF : script.U16() & 0x7FFu;
        ulong control = length | (ulong)(script.U8() & 0xDF) << 24 | (shape & 3) switch { 0 => 0UL, 1 => 1UL << 29, 2 => 1UL << 29 | 1UL << 20, _ => script.U64() & ~0xF_FFFFUL };
        control |= (ulong)(script.U8() & 0x3F) << 40 | (ulong)script.U16() << 48;
        _memory.TryWrite(new GuestAddress(at), address);
        _memory.TryWrite(new GuestAddress(at + 8), control);
        _transmitAt = (_transmitAt + 1) % RingCount;
        if ((shape & 0x40) == 0)
            this[TDT] = _transmitAt;
    }

    private void StartTransmit()
    {
        _transmitAt = 0;
        this[TDBAL] = (uint)TransmitRing;
        this[TDBAH] = 0;
        this[TDLEN] = RingCount * 16;
        this[TDH] = 0;
        this[TDT] = 0;
        this[TCTL] = TCTL_EN;
    }

    private void StartReceive(uint control)
    {
        for (uint i = 0; i < RingCount; i++)
        {
            _memory.TryWrite(new GuestAddress(ReceiveRing + (16 * i)), FuzzGuest.Data + i * 0x800);
            _memory.TryWrite(new GuestAddress(ReceiveRing + (16 * i) + 8), 0UL);
        }

        this[RDBAL] = (uint)ReceiveRing;
        this[RDBAH] = 0;
        this[RDLEN] = RingCount * 16;
        this[RDH] = 0;
        this[RDT] = RingCount - 1;
        this[RCTL] = RCTL_EN | RCTL_BAM | control;
    }

    private void Reset()
    {
        _device.Function.WriteConfig(PciRegisters.Command, [PciRegisters.CommandIo | PciRegisters.CommandMemory | PciRegisters.CommandBusMaster, 0]);
        this[CTRL] = CTRL_RST;
        _loop.Settle();
        FuzzFailure.Unless(this[TCTL] == 0 && (this[RCTL] & RCTL_EN) == 0, "a ring is enabled after a reset");
        FuzzFailure.Unless((this[CTRL] & CTRL_RST) == 0, "a reset does not end");
    }
}
