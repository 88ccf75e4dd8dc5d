using System.Buffers.Binary;

namespace KvmSharp.Machine.Acpi;

/// <summary>Builds a resource template, the value of <c>_CRS</c> (ACPI 6.5 §6.4). Calls chain; <see cref="End"/> gives the buffer.</summary>
public sealed class AmlResources
{
    private const byte ProducerFixedRange = 0x0C; // minimum and maximum fixed, positive decode
    private const byte TypeMemory = 0, TypeIo = 1, TypeBus = 2;

    private readonly List<byte> _bytes = [];

    /// <summary>Ports <paramref name="start"/> to <paramref name="start"/>+<paramref name="length"/>-1, 16-bit decode.</summary>
    public AmlResources Io(ushort start, byte length)
    {
        _bytes.AddRange([0x47, 1, (byte)start, (byte)(start >> 8), (byte)start, (byte)(start >> 8), 1, length]);
        return this;
    }

    /// <summary>An ISA interrupt, 0-15, edge triggered and active high.</summary>
    public AmlResources Irq(int irq)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)irq, 15u, nameof(irq));
        _bytes.AddRange([0x22, (byte)(1 << irq), (byte)((1 << irq) >> 8)]);
        return this;
    }

    /// <summary>A GSI used by the device itself.</summary>
    public AmlResources Interrupt(uint gsi, bool level, bool activeLow, bool shared)
    {
        byte flags = (byte)(1 | (level ? 0 : 2) | (activeLow ? 4 : 0) | (shared ? 8 : 0));
        _bytes.AddRange([0x89, 6, 0, flags, 1]);
        Add32(gsi);
        return this;
    }

    public AmlResources Memory32Fixed(uint start, uint length, bool writable = true)
    {
        _bytes.AddRange([0x86, 9, 0, writable ? (byte)1 : (byte)0]);
        Add32(start);
        Add32(length);
        return this;
    }

    /// <summary>A memory window handed down by a bridge; not cacheable, read and write.</summary>
    public AmlResources DWordMemory(uint start, uint length)
    {
        _bytes.AddRange([0x87, 23, 0, TypeMemory, ProducerFixedRange, 1]);
        Add32(0);
        Add32(start);
        Add32(checked(start + (length - 1)));
        Add32(0);
        Add32(length);
        return this;
    }

    /// <summary>A 64-bit memory window handed down by a bridge; not cacheable, read and write.</summary>
    public AmlResources QWordMemory(ulong start, ulong length)
    {
        _bytes.AddRange([0x8A, 43, 0, TypeMemory, ProducerFixedRange, 1]);
        Add64(0);
        Add64(start);
        Add64(checked(start + (length - 1)));
        Add64(0);
        Add64(length);
        return this;
    }

    /// <summary>An I/O window handed down by a bridge, at most 65535 ports.</summary>
    public AmlResources WordIo(ushort start, ushort length) => Word(TypeIo, 3, start, length);

    /// <summary>The bus numbers below a root bridge.</summary>
    public AmlResources WordBusNumber(byte first, byte last) => Word(TypeBus, 0, first, (ushort)(last - first + 1));

    /// <summary>Ends the template.</summary>
    public AmlTerm End() => AmlTerm.Buffer([.. _bytes, 0x79, 0]);

    private AmlResources Word(byte type, byte flags, ushort start, ushort length)
    {
        _bytes.AddRange([0x88, 13, 0, type, ProducerFixedRange, flags]);
        Add16(0);
        Add16(start);
        Add16(checked((ushort)(start + length - 1)));
        Add16(0);
        Add16(length);
        return this;
    }

    private void Add16(ushort value) => _bytes.AddRange([(byte)value, (byte)(value >> 8)]);

    private void Add32(uint value)
    {
        Span<byte> four = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(four, value);
        _bytes.AddRange(four);
    }

    private void Add64(ulong value)
    {
        Add32((uint)value);
        Add32((uint)(value >> 32));
    }
}
