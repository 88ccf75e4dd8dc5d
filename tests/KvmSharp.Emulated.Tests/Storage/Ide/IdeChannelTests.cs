using KvmSharp.Core.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Storage.Ide;
using static KvmSharp.Emulated.Tests.Storage.Ide.IdeBed;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

/// <summary>Two drives on a channel, interrupts, resets, and what the configuration space turns off.</summary>
public sealed class IdeChannelTests
{
    private const int Sector = 512;

    [Fact]
    public void Select_TwoDrives_EachAnswersForItself()
    {
        using IdeBed bed = new(disks: 2);

        bed.Command(0x20, device: Slave);
        bed.WaitInterrupt();
        byte[] second = bed.ReadData(Sector);
        bed.Command(0x20, device: Master);
        bed.WaitInterrupt();
        byte[] first = bed.ReadData(Sector);

        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), first);
        Assert.Equal(bed.Disks[1].Data[..Sector].ToArray(), second);
    }

    [Fact]
    public void Add_FourDisks_TwoAreOnTheSecondChannel()
    {
        using IdeBed bed = new(disks: 4);

        bed.Command(0x20, device: Slave, channel: 1);
        bed.WaitInterrupt(channel: 1);

        Assert.Equal(bed.Disks[3].Data[..Sector].ToArray(), bed.ReadData(Sector, channel: 1));
        Assert.Equal(0, bed.Primary.RisingEdges);
    }

    [Fact]
    public void Select_AbsentSlave_HasNoStatusAndIgnoresCommands()
    {
        using IdeBed bed = new();

        bed.Command(0xEC, device: Slave);

        Assert.Equal(0, bed.In(IdeRegister.Status));
        Assert.Equal(0, bed.AlternateStatus());
        Assert.False(bed.Primary.Level);
    }

    [Fact]
    public void Channel_WithoutDrives_Floats()
    {
        using IdeBed bed = new();

        bed.Command(0xEC, channel: 1);

        Assert.Equal(0x7F, bed.In(IdeRegister.Status, channel: 1));
        Assert.Equal(0x7F, bed.AlternateStatus(channel: 1));
    }

    [Fact]
    public void Status_ReadFromTheCommandBlock_TakesTheInterruptBack()
    {
        using IdeBed bed = new();

        bed.Command(0xE5);
        bool raised = bed.Primary.Level;
        bed.AlternateStatus();
        bool after = bed.Primary.Level;
        bed.In(IdeRegister.Status);

        Assert.True(raised);
        Assert.True(after);
        Assert.False(bed.Primary.Level);
    }

    [Fact]
    public void Interrupt_Disabled_WaitsUntilItIsEnabled()
    {
        using IdeBed bed = new();
        bed.Control(0x02);

        bed.Command(0xE5);
        bool disabled = bed.Primary.Level;
        int busMaster = bed.BusMasterStatus();
        bed.Control(0x00);

        Assert.False(disabled);
        Assert.Equal(0, busMaster);
        Assert.True(bed.Primary.Level);
    }

    [Fact]
    public void Interrupt_OfADriveThatIsNotSelected_WaitsUntilItIs()
    {
        using IdeBed bed = new(disks: 2);

        bed.Command(0xE5, device: Slave);
        bed.Out(IdeRegister.Device, Master);
        bool deselected = bed.Primary.Level;
        bed.Out(IdeRegister.Device, Slave);

        Assert.False(deselected);
        Assert.True(bed.Primary.Level);
    }

    [Fact]
    public void Reset_InTheMiddleOfAPioRead_ShowsTheSignatureAndSelectsDrive0()
    {
        using IdeBed bed = new(disks: 2);
        bed.Command(0x20, count: 2, device: Slave);
        bed.WaitInterrupt();
        bed.ReadData(100);

        bed.Control(0x04);
        byte during = bed.AlternateStatus();
        bed.Control(0x00);

        Assert.Equal(0x80, during);
        Assert.Equal(Idle, bed.In(IdeRegister.Status));
        Assert.Equal(1, bed.In(IdeRegister.Count));
        Assert.Equal(1, bed.In(IdeRegister.LbaLow));
        Assert.Equal(0xA0, bed.In(IdeRegister.Device));
        Assert.Equal(0xFFFF, bed.ReadData(2)[0] << 8 | 0xFF);
    }

    [Fact]
    public void Identify_AfterATransferThatWasReset_IsOneSector()
    {
        using IdeBed bed = new();
        bed.Command(0x20, count: 5);
        bed.WaitInterrupt();
        bed.Control(0x04);
        bed.Control(0x00);

        bed.Command(0xEC);
        bed.WaitInterrupt();
        bed.ReadData(Sector);

        Assert.Equal(Idle, bed.AlternateStatus());
    }

    [Fact]
    public void Diagnostics_WhicheverDriveIsSelected_Drive0Reports()
    {
        using IdeBed bed = new(disks: 2);
        bed.Out(IdeRegister.Device, Slave);

        bed.Out(IdeRegister.Command, 0x90);
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(1, bed.In(IdeRegister.Error));
        Assert.Equal(0xA0, bed.In(IdeRegister.Device));
    }

    [Fact]
    public void HighOrderBit_ShowsThePreviousBytesUntilARegisterIsWritten()
    {
        using IdeBed bed = new();
        bed.Out(IdeRegister.LbaLow, 0x12);
        bed.Out(IdeRegister.LbaLow, 0x34);

        bed.Control(0x80);
        byte previous = bed.In(IdeRegister.LbaLow);
        bed.Out(IdeRegister.LbaMid, 0);
        byte current = bed.In(IdeRegister.LbaLow);

        Assert.Equal((0x12, 0x34), (previous, current));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(7, 4)]
    public void In_WiderThanARegister_IsRefused(int register, int width)
    {
        using IdeBed bed = new();

        Assert.Equal(BusStatus.BadSize, bed.Controller.CommandPorts(0).In((ushort)register, new byte[width]));
        Assert.Equal(BusStatus.BadSize, bed.Controller.CommandPorts(0).Out((ushort)register, new byte[width]));
    }

    [Fact]
    public void DecodeEnable_Cleared_ChannelIsGone()
    {
        using IdeBed bed = new();

        bed.Controller.Function.WriteConfig(0x41, [0x00]);
        byte status = bed.In(IdeRegister.Status);
        bed.Command(0xEC);
        bed.Controller.Function.WriteConfig(0x41, [0x80]);

        Assert.Equal(0xFF, status);
        Assert.Equal(Idle, bed.In(IdeRegister.Status));
    }

    [Fact]
    public void Function_IsWhatAtaPiixLooksFor()
    {
        using IdeBed bed = new();
        PciConfigSpace config = bed.Controller.Function.Config;

        Assert.Equal(0x7010_8086u, config.Get32(PciRegisters.VendorId));
        Assert.Equal(0x0101_80u, config.Get32(PciRegisters.Revision) >> 8);
        Assert.Equal(0x8000, config.Get16(0x40));
        Assert.Equal(0x8000, config.Get16(0x42));
        Assert.Equal(0, config.Get8(PciRegisters.InterruptPin));
    }

    [Fact]
    public void Accesses_AnyAtRandom_NeverThrowAndAResetGetsTheDriveBack()
    {
        using IdeBed bed = new(disks: 2);
        var random = new Random(1);
        byte[] data = new byte[4];

        for (int i = 0; i < 100_000; i++)
        {
            random.NextBytes(data);
            IPioDevice device = random.Next(8) switch { 0 => bed.Controller.ControlPort(0), < 3 => bed.Controller, _ => bed.Controller.CommandPorts(0) };
            int last = device == bed.Controller ? 16 : device == bed.Controller.ControlPort(0) ? 1 : 8;
            int width = Math.Min(1 << random.Next(3), last);
            ushort offset = (ushort)random.Next(last - width + 1);
            Assert.True(Enum.IsDefined(random.Next(3) == 0 ? device.In(offset, data.AsSpan(0, width)) : device.Out(offset, data.AsSpan(0, width))));
        }

        bed.Controller.Function.WriteConfig(0x40, [0x00, 0x80]);
        bed.Control(0x04);
        bed.Control(0x00);
        Assert.Equal(Idle, bed.WaitNotBusy());
    }
}
