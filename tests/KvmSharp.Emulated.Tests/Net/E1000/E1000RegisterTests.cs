using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Net.E1000;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Tests.Net.E1000;

/// <summary>Registers outside the rings, from the 8254x software developer's manual.</summary>
public sealed class E1000RegisterTests
{
    [Fact]
    public void Configuration_OfFunction_IsAn82540Em()
    {
        using E1000Bed bed = new();
        PciConfigSpace config = bed.Device.Function.Config;

        Assert.Equal(0x100E_8086u, config.Get32(0));
        Assert.Equal(0x02, config.Get8(PciRegisters.BaseClass));
        Assert.Equal(1, config.Get8(PciRegisters.InterruptPin));
        Assert.Equal(0x2_0000u, bed.Device.Function.FindBar(0)!.Size);
        Assert.Equal(PciBarKind.Io, bed.Device.Function.FindBar(2)!.Kind);
    }

    [Fact]
    public void Eerd_WholeEeprom_HasAddressAndChecksum()
    {
        using E1000Bed bed = new();
        ushort sum = 0;
        ushort[] words = new ushort[64];
        for (uint i = 0; i < 64; i++)
        {
            bed[EERD] = (i << 8) | 1;
            Assert.Equal((i << 8) | 0x10, bed[EERD] & 0xFFFF);
            words[i] = (ushort)(bed[EERD] >> 16);
            sum += words[i];
        }

        Assert.Equal(0xBABA, sum);
        Assert.Equal([0x5452, 0x1200, 0x5634], words[..3]);
    }

    [Fact]
    public void Eecd_ReadOpcode_ShiftsOutTheWordAfterAZero()
    {
        Eeprom eeprom = new(E1000Bed.Mac);
        eeprom.Pins = 0x40; // request
        Assert.Equal(0x80u, eeprom.Pins & 0x80); // granted

        ShiftIn(eeprom, 0b110, 3);
        ShiftIn(eeprom, 1, 6);

        Assert.Equal(0u, eeprom.Pins & 8);
        Assert.Equal(0x1200u, ShiftOut(eeprom));
        Assert.Equal(0x5634u, ShiftOut(eeprom));
    }

    [Fact]
    public void Mdic_ReadsOfThePhy_GiveItsIdentityAndLink()
    {
        using E1000Bed bed = new();

        Assert.Equal(0x0141, ReadPhy(bed, 2));
        Assert.Equal(0x0C20, ReadPhy(bed, 3) & 0xFFF0);
        Assert.Equal(0x24, ReadPhy(bed, 1) & 0x24);
        Assert.Equal(0xAC00, ReadPhy(bed, 17) & 0xAC00);
    }

    [Fact]
    public void Mdic_OtherPhyAddress_IsAnError()
    {
        using E1000Bed bed = new();
        bed[MDIC] = 2u << 26 | 2u << 21 | 2u << 16;

        Assert.Equal(0x5000_0000u, bed[MDIC] & 0x5000_0000u);
    }

    [Fact]
    public void Mdic_PowerDown_TakesTheLinkAwayWithAnInterruptCause()
    {
        using E1000Bed bed = new();
        Assert.Equal(STATUS_LU, bed[STATUS] & STATUS_LU);

        bed[MDIC] = 1u << 26 | 1u << 21 | 0u << 16 | 1 << 11;

        Assert.Equal(0u, bed[STATUS] & STATUS_LU);
        Assert.Equal(ICR_LSC, bed[ICR]);
    }

    [Fact]
    public void Icr_ReadWhileAsserted_ClearsCausesAndThePin()
    {
        using E1000Bed bed = new();
        bed[ICS] = ICR_LSC;
        Assert.False(bed.Line.Level);
        bed[IMS] = ICR_LSC;
        Assert.True(bed.Line.Level);

        Assert.Equal(ICR_LSC, bed[ICR]);

        Assert.False(bed.Line.Level);
        Assert.Equal(0u, bed[ICR]);
    }

    [Fact]
    public void Imc_OfTheOnlyCause_ReleasesThePinAndKeepsTheCause()
    {
        using E1000Bed bed = new();
        bed[IMS] = ICR_LSC | ICR_RXT0;
        bed[ICS] = ICR_LSC;

        bed[IMC] = ICR_LSC;

        Assert.False(bed.Line.Level);
        Assert.Equal(ICR_RXT0, bed[IMS]);
        Assert.Equal(ICR_LSC, bed[ICR]);
    }

    [Fact]
    public void Itr_SecondCauseWithinTheInterval_WaitsForItsEnd()
    {
        using E1000Bed bed = new();
        bed[ITR] = 0xFFFF; // 16.8 ms
        bed[IMS] = ICR_LSC;
        bed[ICS] = ICR_LSC;
        Assert.True(bed.Line.Level);
        _ = bed[ICR];

        bed[ICS] = ICR_LSC;

        Assert.Equal(1, bed.Line.RisingEdges);
        bed.WaitFor(() => bed.Line.RisingEdges == 2);
    }

    [Theory]
    [InlineData(RDLEN, 0x000F_FF80u)]
    [InlineData(TDLEN, 0x000F_FF80u)]
    [InlineData(RDBAL, 0xFFFF_FFF0u)]
    [InlineData(TDBAL, 0xFFFF_FFF0u)]
    [InlineData(TIPG, 0x3FFF_FFFFu)]
    [InlineData(FCRTH, 0x0000_FFF8u)]
    [InlineData(TXCW, 0xC000_FFFFu)]
    [InlineData(RAH0, 0x8003_FFFFu)]
    [InlineData(VET, 0x0000_FFFFu)]
    [InlineData(MTA + 508, 0xFFFF_FFFFu)]
    [InlineData(STATUS, 0x0000_0283u)]
    public void Write_AllOnes_SetsTheBitsThatExist(uint register, uint expected)
    {
        using E1000Bed bed = new();
        bed[register] = uint.MaxValue;

        Assert.Equal(expected, bed[register]);
    }

    [Fact]
    public void IoWindow_AddressAndData_ReachTheSameRegisters()
    {
        using E1000Bed bed = new();
        ushort port = (ushort)bed.Device.Function.FindBar(2)!.Address!.Value;
        byte[] data = new byte[4];

        bed.Pio.Out(port, BitConverter.GetBytes(VET));
        bed.Pio.Out((ushort)(port + 4), BitConverter.GetBytes(0x8100u));
        bed.Pio.In((ushort)(port + 4), data);

        Assert.Equal(0x8100u, BitConverter.ToUInt32(data));
        Assert.Equal(0x8100u, bed[VET]);
    }

    [Fact]
    public void Ctrl_Reset_RestoresTheAddressAndStopsEverything()
    {
        using E1000Bed bed = new();
        bed.StartReceive(RCTL_UPE);
        bed[RAL0] = 0;
        bed[RAH0] = 0;
        bed[IMS] = ICR_LSC;

        bed[CTRL] = CTRL_RST;

        Assert.Equal(0x1200_5452u, bed[RAL0]);
        Assert.Equal(0x8000_5634u, bed[RAH0]);
        Assert.Equal(0u, bed[RCTL]);
        Assert.Equal(0u, bed[IMS]);
        Assert.Equal(0u, bed[CTRL] & CTRL_RST);
    }

    [Fact]
    public void Write_EveryRegisterOfEveryValueThatHurts_LeavesADeviceThatCanBeReset()
    {
        using E1000Bed bed = new();
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            uint register = (uint)random.Next((int)RegisterFile.StorageLength / 4) * 4;
            bed[register] = random.Next(3) == 0 ? uint.MaxValue : (uint)random.NextInt64(1L << 32);
            _ = bed[register];
        }

        bed[CTRL] = CTRL_RST;
        bed[CTRL] = 0;
        bed.StartTransmit();
        bed.Write(E1000Bed.Buffers, E1000Bed.Frame(60, 1));
        bed.Transmit(TransmitBits.Legacy(E1000Bed.Buffers, 60));

        byte[] sent = bed.TakeSent();
        while (sent.Length != E1000Bed.HeaderLength + 60)
            sent = bed.TakeSent();
    }

    private static ushort ReadPhy(E1000Bed bed, uint register)
    {
        bed[MDIC] = 2u << 26 | 1u << 21 | register << 16;
        Assert.Equal(1u << 28, bed[MDIC] & (5u << 28));
        return (ushort)bed[MDIC];
    }

    private static void ShiftIn(Eeprom eeprom, uint bits, int count)
    {
        for (int i = count - 1; i >= 0; i--)
        {
            uint pins = 0x42 | (bits >> i & 1) << 2;
            eeprom.Pins = pins;
            eeprom.Pins = pins | 1;
            eeprom.Pins = pins;
        }
    }

    private static uint ShiftOut(Eeprom eeprom)
    {
        uint word = 0;
        for (int i = 0; i < 16; i++)
        {
            eeprom.Pins = 0x43;
            word = word << 1 | (eeprom.Pins >> 3 & 1);
            eeprom.Pins = 0x42;
        }

        return word;
    }
}
