using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>The memory BAR (manual §13): what a read gives and what a write does. vCPU threads, under the device's lock.</summary>
internal sealed class RegisterBank(RegisterFile registers, Eeprom eeprom, Phy phy, InterruptCauses interrupts, Statistics statistics, DataPath dataPath, Action reset)
    : IMmioDevice, ISharedAccessLock
{
    /// <summary>Changing one of these takes effect on a receiver that runs only by starting it anew.</summary>
    private const uint ReceiverShape = RCTL_EN | RCTL_BSIZE | RCTL_BSEX;

    public Lock AccessLock { get; } = new();

    /// <inheritdoc/>
    public BusStatus Read(ulong offset, Span<byte> data)
    {
        BusStatus status = Check(offset, data.Length);
        if (status == BusStatus.Ok)
            BinaryPrimitives.WriteUInt32LittleEndian(data, Read((uint)offset));
        return status;
    }

    /// <inheritdoc/>
    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        BusStatus status = Check(offset, data.Length);
        if (status == BusStatus.Ok)
            Write((uint)offset, BinaryPrimitives.ReadUInt32LittleEndian(data));
        return status;
    }

    /// <summary>Registers that are not there read zero.</summary>
    public uint Read(uint offset) => offset switch
    {
        STATUS => STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 | (phy.LinkUp ? STATUS_LU : 0),
        EECD => eeprom.Pins,
        EERD => eeprom.ReadRegister,
        MDIC => phy.Mdic,
        ICR => interrupts.Take(),
        IMS => interrupts.Mask,
        >= StatisticsStart and < StatisticsEnd => statistics.Read(offset),
        < RegisterFile.StorageLength => registers[offset],
        _ => 0,
    };

    /// <summary>Registers that are not there ignore it.</summary>
    public void Write(uint offset, uint value)
    {
        switch (offset)
        {
            case CTRL:
                Control(value);
                break;
            case EECD:
                eeprom.Pins = value;
                break;
            case EERD:
                eeprom.ReadRegister = value;
                break;
            case MDIC:
                Manage(value);
                break;
            case ICR:
                interrupts.Clear(value);
                break;
            case ITR:
                registers.Write(offset, value);
                interrupts.SetInterval(registers[ITR]);
                break;
            case ICS:
                interrupts.Raise(value);
                break;
            case IMS:
                interrupts.Unmask(value);
                break;
            case IMC:
                interrupts.MaskOut(value);
                break;
            case RCTL:
                uint before = registers[RCTL];
                registers.Write(offset, value);
                if (((registers[RCTL] ^ before) & ReceiverShape) != 0)
                    dataPath.RestartReceive();
                break;
            case TCTL:
                uint enabled = registers[TCTL] & TCTL_EN;
                registers.Write(offset, value);
                if ((value & TCTL_EN) != enabled)
                    dataPath.RestartTransmit();
                break;
            case RDT:
                registers.Write(offset, value);
                dataPath.ReceiveTailMoved();
                break;
            case TDT:
                registers.Write(offset, value);
                dataPath.TransmitTailMoved();
                break;
            case RDBAL or RDBAH or RDLEN or RDH:
                registers.Write(offset, value);
                if ((registers[RCTL] & RCTL_EN) != 0)
                    dataPath.RestartReceive();
                break;
            case TDBAL or TDBAH or TDLEN or TDH:
                registers.Write(offset, value);
                if ((registers[TCTL] & TCTL_EN) != 0)
                    dataPath.RestartTransmit();
                break;
            case < RegisterFile.StorageLength:
                registers.Write(offset, value);
                break;
        }
    }

    /// <summary>The registers are 32 bits wide and take nothing else (§13.1).</summary>
    private static BusStatus Check(ulong offset, int length) =>
        length != 4 ? BusStatus.BadSize : offset % 4 != 0 ? BusStatus.Unaligned : offset < Length ? BusStatus.Ok : BusStatus.NoRegister;

    private void Control(uint value)
    {
        if ((value & CTRL_RST) != 0)
        {
            reset();
            return;
        }

        if ((value & CTRL_PHY_RST) != 0)
            phy.Reset();
        registers.Write(CTRL, value);
    }

    private void Manage(uint value)
    {
        bool interrupt = phy.Execute(value, out bool linkChanged);
        if (interrupt)
            interrupts.Raise(ICR_MDAC);
        if (linkChanged)
            interrupts.Raise(ICR_LSC);
    }
}
