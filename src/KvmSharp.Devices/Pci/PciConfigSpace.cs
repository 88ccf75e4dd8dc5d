using System.Buffers.Binary;

namespace KvmSharp.Devices.Pci;

/// <summary>
/// Configuration registers as bytes, each with a mask of the bits the guest may write and one of the bits it clears by writing
/// ones. Not thread-safe: guest accesses come under the PCI root's lock, set-up happens before the function is attached.
/// </summary>
public sealed class PciConfigSpace
{
    public const int ConventionalSize = 256;
    public const int ExpressSize = 4096;

    private const int FirstCapability = 0x40;

    private readonly byte[] _data;
    private readonly byte[] _writable;
    private readonly byte[] _clearable;
    private int _nextCapability = FirstCapability;
    private int _lastCapability;

    /// <param name="size">256, or 4096 with the extended registers.</param>
    public PciConfigSpace(int size = ConventionalSize)
    {
        if (size is not (ConventionalSize or ExpressSize))
            throw new ArgumentOutOfRangeException(nameof(size));
        _data = new byte[size];
        _writable = new byte[size];
        _clearable = new byte[size];
    }

    /// <summary>Bytes.</summary>
    public int Size => _data.Length;

    /// <summary>A type 0 header: identity, command and status behaviour, cache line, latency and interrupt line registers.</summary>
    public static PciConfigSpace CreateType0(PciIdentity identity, int size = ConventionalSize)
    {
        var config = new PciConfigSpace(size);
        config.Set16(PciRegisters.VendorId, identity.VendorId);
        config.Set16(PciRegisters.DeviceId, identity.DeviceId);
        config.Set8(PciRegisters.Revision, identity.Revision);
        config.Set8(PciRegisters.ProgrammingInterface, identity.ProgrammingInterface);
        config.Set8(PciRegisters.Subclass, identity.Subclass);
        config.Set8(PciRegisters.BaseClass, identity.BaseClass);
        config.Set16(PciRegisters.SubsystemVendorId, identity.SubsystemVendorId);
        config.Set16(PciRegisters.SubsystemId, identity.SubsystemId);
        config.SetWritable16(PciRegisters.Command, PciRegisters.CommandIo | PciRegisters.CommandMemory | PciRegisters.CommandBusMaster
            | PciRegisters.CommandParity | PciRegisters.CommandSerr | PciRegisters.CommandIntxDisable);
        config._clearable[PciRegisters.Status + 1] = PciRegisters.StatusErrors >> 8;
        config.SetWritable(PciRegisters.CacheLineSize, 0xFF);
        config.SetWritable(PciRegisters.LatencyTimer, 0xFF);
        config.SetWritable(PciRegisters.InterruptLine, 0xFF);
        return config;
    }

    /// <summary>A guest read at any offset; bytes past the end read all ones.</summary>
    public void Read(int offset, Span<byte> data)
    {
        for (int i = 0; i < data.Length; i++)
            data[i] = (uint)(offset + i) < (uint)_data.Length ? _data[offset + i] : (byte)0xFF;
    }

    /// <summary>A guest write at any offset, through the masks; bytes past the end are dropped.</summary>
    public void Write(int offset, ReadOnlySpan<byte> data)
    {
        for (int i = 0; i < data.Length; i++)
        {
            int at = offset + i;
            if ((uint)at >= (uint)_data.Length)
                return;
            byte kept = (byte)(_data[at] & ~_writable[at] & ~(data[i] & _clearable[at]));
            _data[at] = (byte)(kept | (data[i] & _writable[at]));
        }
    }

    public byte Get8(int offset) => _data[offset];

    public ushort Get16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_data.AsSpan(offset));

    public uint Get32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_data.AsSpan(offset));

    /// <summary>Sets a register from the device's side, masks aside.</summary>
    public void Set8(int offset, byte value) => _data[offset] = value;

    /// <inheritdoc cref="Set8"/>
    public void Set16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_data.AsSpan(offset), value);

    /// <inheritdoc cref="Set8"/>
    public void Set32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_data.AsSpan(offset), value);

    /// <summary>The bits of a byte that the guest may write.</summary>
    public void SetWritable(int offset, byte mask) => _writable[offset] = mask;

    /// <inheritdoc cref="SetWritable"/>
    public void SetWritable16(int offset, ushort mask) => BinaryPrimitives.WriteUInt16LittleEndian(_writable.AsSpan(offset), mask);

    /// <inheritdoc cref="SetWritable"/>
    public void SetWritable32(int offset, uint mask) => BinaryPrimitives.WriteUInt32LittleEndian(_writable.AsSpan(offset), mask);

    /// <summary>The bits of a byte that the guest clears by writing ones.</summary>
    public void SetWriteOneToClear(int offset, byte mask) => _clearable[offset] = mask;

    /// <summary>
    /// Appends a capability of <paramref name="length"/> bytes, header included, to the list and returns its offset (PCI 3.0 §6.7).
    /// Throws <see cref="InvalidOperationException"/> when the 192 bytes are used up.
    /// </summary>
    public int AddCapability(byte id, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        int offset = _nextCapability;
        if (offset + length > ConventionalSize)
            throw new InvalidOperationException($"capability 0x{id:x2} of {length} bytes does not fit configuration space");
        _nextCapability = (offset + length + 3) & ~3;
        _data[offset] = id;
        if (_lastCapability == 0)
        {
            _data[PciRegisters.CapabilitiesPointer] = (byte)offset;
            _data[PciRegisters.Status] |= (byte)PciRegisters.StatusCapabilities;
        }
        else
        {
            _data[_lastCapability + 1] = (byte)offset;
        }

        _lastCapability = offset;
        return offset;
    }

    internal byte[] Save() => [.. _data];

    internal void Load(ReadOnlySpan<byte> data) => data.CopyTo(_data);
}
