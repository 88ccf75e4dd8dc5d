using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Kvm.Irqchip;

/// <summary>
/// The 24-input I/O APIC of the split irqchip (82093AA datasheet, with the EOI register of version 0x20). Registers come from the
/// MMIO bus, levels from device threads, EOIs from vCPU threads; one lock orders them. An edge on a masked input is lost, as in hardware.
/// </summary>
public sealed class IoApic : IMmioDevice
{
    /// <summary>Bytes it claims at its address.</summary>
    public const ulong MmioLength = 0x1000;

    internal const int Pins = 24;
    private const ulong RegisterSelect = 0x00, Window = 0x10, EndOfInterruptRegister = 0x40;
    private const uint VersionValue = ((Pins - 1) << 16) | 0x20;
    private const ulong Masked = 1UL << 16, Level = 1UL << 15, RemoteIrr = 1UL << 14;
    private const ulong WritableBits = 0xFF00_0000_0001_AFFF;
    private const uint ExtIntMode = 7;

    private readonly IIoApicOutput _output;
    private readonly Lock _gate = new();
    private readonly ulong[] _redirections = new ulong[Pins];
    private uint _levels;
    private uint _id;
    private byte _selected;

    public IoApic(IIoApicOutput output)
    {
        _output = output;
        Reset();
    }

    /// <summary>Power-on state: every input masked. Levels belong to the devices and stay.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            Array.Fill(_redirections, Masked);
            _id = 0;
            _selected = 0;
        }
    }

    /// <summary>The input of a GSI. GSI 0, the PIT's, is input 2 on PCs; without a PIT it has no user.</summary>
    public IIrqLine GetLine(uint gsi) => new Line(this, gsi, gsi == 0 ? 2 : (int)gsi);

    /// <summary>A local APIC finished a level-triggered vector (KVM_EXIT_IOAPIC_EOI). An input that is still asserted fires again.</summary>
    public void EndOfInterrupt(byte vector)
    {
        lock (_gate)
            EndOfInterruptLocked(vector);
    }

    public BusStatus Read(ulong offset, Span<byte> data)
    {
        if (data.Length != 4)
            return BusStatus.BadSize;
        uint value;
        lock (_gate)
        {
            if (offset == RegisterSelect)
                value = _selected;
            else if (offset == Window)
                value = ReadRegister();
            else
                return BusStatus.NoRegister;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        return BusStatus.Ok;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (data.Length is not (1 or 2 or 4))
            return BusStatus.BadSize;
        uint value = data[0];
        if (data.Length == 4)
            value = BinaryPrimitives.ReadUInt32LittleEndian(data);
        lock (_gate)
        {
            switch (offset)
            {
                case RegisterSelect:
                    _selected = (byte)value;
                    return BusStatus.Ok;
                case Window when data.Length == 4:
                    WriteRegister(value);
                    return BusStatus.Ok;
                case Window:
                    return BusStatus.BadSize;
                case EndOfInterruptRegister:
                    EndOfInterruptLocked((byte)value);
                    return BusStatus.Ok;
                default:
                    return BusStatus.NoRegister;
            }
        }
    }

    private void SetLevel(int pin, bool asserted)
    {
        lock (_gate)
        {
            uint bit = 1u << pin;
            bool was = (_levels & bit) != 0;
            _levels = asserted ? _levels | bit : _levels & ~bit;
            if (asserted && !was)
                Service(pin);
        }
    }

    private uint ReadRegister()
    {
        switch (_selected)
        {
            case 0:
            case 2:
                return _id;
            case 1:
                return VersionValue;
            default:
                int index = _selected - 0x10;
                if ((uint)index >= Pins * 2)
                    return 0xFFFF_FFFF;
                ulong entry = _redirections[index >> 1];
                return (uint)((index & 1) != 0 ? entry >> 32 : entry);
        }
    }

    private void WriteRegister(uint value)
    {
        if (_selected == 0)
        {
            _id = value & 0x0F00_0000;
            return;
        }

        int index = _selected - 0x10;
        if ((uint)index >= Pins * 2)
            return;
        int pin = index >> 1;
        ulong old = _redirections[pin];
        ulong entry = (index & 1) != 0 ? (old & 0xFFFF_FFFF) | ((ulong)value << 32) : (old & 0xFFFF_FFFF_0000_0000) | value;
        entry = (entry & WritableBits) | (old & RemoteIrr);

        // An edge-triggered input has no remote IRR; drivers switch the mode to clear it.
        if ((entry & Level) == 0)
            entry &= ~RemoteIrr;
        _redirections[pin] = entry;
        if ((entry & Masked) != 0)
            return;
        _output.SetRoute((uint)pin, Address(entry), Data(entry));
        if ((entry & Level) != 0 && (_levels & (1u << pin)) != 0)
            Service(pin);
    }

    private void Service(int pin)
    {
        ulong entry = _redirections[pin];
        if ((entry & Masked) != 0 || ((entry >> 8) & 7) == ExtIntMode)
            return;
        if ((entry & Level) != 0)
        {
            if ((entry & RemoteIrr) != 0)
                return;
            _redirections[pin] = entry | RemoteIrr;
        }

        _output.Send(Address(entry), Data(entry));
    }

    private void EndOfInterruptLocked(byte vector)
    {
        for (int pin = 0; pin < Pins; pin++)
        {
            ulong entry = _redirections[pin];
            if ((byte)entry != vector || (entry & RemoteIrr) == 0)
                continue;
            _redirections[pin] = entry & ~RemoteIrr;
            if ((_levels & (1u << pin)) != 0)
                Service(pin);
        }
    }

    /// <summary>The message address (Intel SDM 3A §11.11.1): destination in 19:12, logical mode in bit 2, lowest priority asks for redirection.</summary>
    private static ulong Address(ulong entry)
    {
        ulong logical = (entry >> 11) & 1;
        ulong lowest = ((entry >> 8) & 7) == 1 ? 1UL : 0;
        return 0xFEE0_0000 | ((entry >> 56) << 12) | (lowest << 3) | (logical << 2);
    }

    private static uint Data(ulong entry) => (uint)(entry & 0x7FF) | (uint)(entry & Level) | (1u << 14);

    private sealed class Line(IoApic owner, uint gsi, int pin) : IIrqLine
    {
        public uint Gsi => gsi;

        public void SetLevel(bool asserted) => owner.SetLevel(pin, asserted);
    }
}
