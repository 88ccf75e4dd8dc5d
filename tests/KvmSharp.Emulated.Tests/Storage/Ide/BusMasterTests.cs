using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Storage.Ide;
using static KvmSharp.Emulated.Tests.Storage.Ide.IdeBed;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

/// <summary>Transfers by the bus master, against the Programming Interface for Bus Master IDE Controller 1.0; and guests that get it wrong.</summary>
public sealed class BusMasterTests
{
    private const int Sector = 512;
    private const int StartRead = 0x9, StartWrite = 0x1, Stop = 0;
    private const int Active = 1, Error = 2, Interrupt = 4;
    private const byte WaitsForBusMaster = 0x58;

    [Theory]
    [InlineData(0xC8)]
    [InlineData(0xC9)]
    public void ReadDma_IntoTwoRegions_FillsThemAndInterrupts(int command)
    {
        using IdeBed bed = new();
        bed.Regions((Data, 512), (Data + 0x1000, 1024));

        bed.Command(command, lba: 11, count: 3);
        bed.BusMasterCommand(StartRead);
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(Interrupt, bed.BusMasterStatus());
        Assert.Equal(bed.Disks[0].Data.Slice(11 * Sector, Sector).ToArray(), bed.Ram(Data, Sector).ToArray());
        Assert.Equal(bed.Disks[0].Data.Slice(12 * Sector, 2 * Sector).ToArray(), bed.Ram(Data + 0x1000, 2 * Sector).ToArray());
    }

    [Theory]
    [InlineData(0x35, 0)]
    [InlineData(0x3D, 1)]
    public void WriteDmaExt_FromARegion_IsWritten(int command, int fuaWrites)
    {
        using IdeBed bed = new();
        bed.Regions((Data, 4 * Sector));
        Random.Shared.NextBytes(bed.Ram(Data, 4 * Sector));

        bed.CommandExt(command, lba: 20, count: 4);
        bed.BusMasterCommand(StartWrite);
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(bed.Ram(Data, 4 * Sector).ToArray(), bed.Disks[0].Data.Slice(20 * Sector, 4 * Sector).ToArray());
        Assert.Equal(fuaWrites, bed.Disks[0].FuaWrites);
    }

    [Fact]
    public void Start_BeforeTheCommand_WaitsForIt()
    {
        using IdeBed bed = new();
        bed.Regions((Data, Sector));

        bed.BusMasterCommand(StartRead);
        int before = bed.BusMasterStatus();
        bed.Command(0xC8);
        byte status = bed.WaitInterrupt();

        Assert.Equal(Active, before);
        Assert.Equal(Idle, status);
        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), bed.Ram(Data, Sector).ToArray());
    }

    [Fact]
    public void ReadDma_CountZero_IsARegionOf64KiB()
    {
        using IdeBed bed = new();
        bed.Regions((Data, 0));

        bed.Command(0xC8, count: 128);
        bed.BusMasterCommand(StartRead);
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(bed.Disks[0].Data[..0x1_0000].ToArray(), bed.Ram(Data, 0x1_0000).ToArray());
    }

    [Fact]
    public void ReadDma_RegionsAreLarger_StaysActiveAndLeavesTheRestAlone()
    {
        using IdeBed bed = new();
        bed.Regions((Data, 4 * Sector));

        bed.Command(0xC8);
        bed.BusMasterCommand(StartRead);
        bed.WaitInterrupt();
        int status = bed.BusMasterStatus();
        bed.BusMasterCommand(Stop);

        Assert.Equal(Interrupt | Active, status);
        Assert.Equal(Interrupt, bed.BusMasterStatus());
        Assert.Equal(-1, bed.Ram(Data + Sector, 3 * Sector).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void ReadDma_RegionsAreSmaller_StopsWithoutInterruptAndGoesOnWithMore()
    {
        using IdeBed bed = new();
        bed.Regions((Data, Sector + 100));

        bed.Command(0xC8, count: 2);
        bed.BusMasterCommand(StartRead);
        Wait(() => bed.BusMasterStatus() == 0);
        byte waiting = bed.AlternateStatus();
        bool raised = bed.Primary.Level;
        bed.BusMasterCommand(Stop);
        bed.Regions((Data + Sector, Sector));
        bed.BusMasterCommand(StartRead);
        byte status = bed.WaitInterrupt();

        Assert.Equal(WaitsForBusMaster, waiting);
        Assert.False(raised);
        Assert.Equal(Idle, status);
        Assert.Equal(bed.Disks[0].Data[..(2 * Sector)].ToArray(), bed.Ram(Data, 2 * Sector).ToArray());
    }

    [Fact]
    public void ReadDma_ManyTinyRegions_AddUp()
    {
        using IdeBed bed = new();
        bed.Regions([.. Enumerable.Range(0, 256).Select(i => (Data + 4 * (uint)i, 2u))]);

        bed.Command(0xC8);
        bed.BusMasterCommand(StartRead);
        bed.WaitInterrupt();

        Assert.Equal(bed.Disks[0].Data[510..512].ToArray(), bed.Ram(Data + 4 * 255, 2).ToArray());
        Assert.Equal(0, bed.Ram(Data + 4 * 255 - 2, 1)[0]);
    }

    [Theory]
    [InlineData(0x8000_0000u)]
    [InlineData(0xFFFF_FFFCu)]
    [InlineData((uint)MemoryBytes - 4)]
    public void Start_TableOutsideMemory_IsAnError(uint table)
    {
        using IdeBed bed = new();
        bed.SetTable(table);

        bed.Command(0xC8);
        bed.BusMasterCommand(StartRead);

        AssertRefused(bed);
    }

    [Theory]
    [InlineData(0xC8, StartRead, 0x8000_0000u, 512u)]
    [InlineData(0xC8, StartRead, (uint)MemoryBytes - 2, 512u)]
    [InlineData(0xCA, StartWrite, 0xFFFF_FFFEu, 512u)]
    [InlineData(0xCA, StartWrite, (uint)MemoryBytes - 512, 0u)]
    public void Start_RegionOutsideMemory_IsAnError(int command, int start, uint address, uint count)
    {
        using IdeBed bed = new();
        bed.Regions((address, count));

        bed.Command(command);
        bed.BusMasterCommand(start);

        AssertRefused(bed);
        Assert.Equal(new byte[Sector], bed.Ram((uint)MemoryBytes - Sector, Sector).ToArray());
    }

    [Fact]
    public void Start_TableWithoutEnd_StopsAfter64KiBOfIt()
    {
        using IdeBed bed = new();
        for (int i = 0; i <= PrdTable.MaxEntries; i++)
            bed.Region(i, Data + 0x8_0000, 2);
        bed.SetTable(Table);

        bed.Command(0xC8, count: 64);
        bed.BusMasterCommand(StartRead);
        Wait(() => bed.BusMasterStatus() == 0);

        // 8192 regions of two bytes are 32 sectors: the drive waits for the others.
        Assert.Equal(WaitsForBusMaster, bed.AlternateStatus());
    }

    [Theory]
    [InlineData(0xC8, StartWrite)]
    [InlineData(0xCA, StartRead)]
    public void Start_WrongDirection_IsAnError(int command, int start)
    {
        using IdeBed bed = new();
        bed.Regions((Data, Sector));

        bed.Command(command);
        bed.BusMasterCommand(start);

        AssertRefused(bed);
    }

    [Fact]
    public void Start_BusMasterDisabled_IsAnError()
    {
        using IdeBed bed = new();
        bed.Regions((Data, Sector));
        bed.Controller.Function.WriteConfig(PciRegisters.Command, [(byte)PciRegisters.CommandIo, 0]);

        bed.Command(0xC8);
        bed.BusMasterCommand(StartRead);

        AssertRefused(bed);
    }

    [Fact]
    public void ReadDma_DiskFails_InterruptsWithTheError()
    {
        using IdeBed bed = new();
        bed.Faults[0].Fail(BlockOperation.Read, -LibcConstants.EIO);
        bed.Regions((Data, Sector));

        bed.Command(0xC8, lba: 3);
        bed.BusMasterCommand(StartRead);

        Assert.Equal(Failed, bed.WaitInterrupt());
        Assert.Equal(Uncorrectable, bed.In(IdeRegister.Error));
        Assert.Equal(3, bed.In(IdeRegister.LbaLow));
    }

    [Fact]
    public void Stop_WhileTheDiskIsAtIt_ReturnsWhenMemoryIsNoLongerTouched()
    {
        using IdeBed bed = ReadUnderWay();
        using Timer release = new(_ => bed.Faults[0].Hold = false, null, 50, Timeout.Infinite);

        bed.BusMasterCommand(Stop);

        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), bed.Ram(Data, Sector).ToArray());
        Assert.Equal(0, bed.BusMasterStatus() & Active);
        Assert.Equal(Idle, bed.AlternateStatus());
    }

    [Fact]
    public void Reset_WhileTheOtherDiskIsAtIt_NoDriveLooksReadyBefore()
    {
        using var bed = new IdeBed(disks: 2);
        bed.Faults[1].Hold = true;
        bed.Command(0x20, device: IdeBed.Slave);
        bed.Control(0x04);
        bed.Control(0x00);
        Assert.Equal(0x80, bed.AlternateStatus());
        Assert.Equal(0x80, bed.In(IdeRegister.Status));

        bed.Faults[1].Hold = false;
        Assert.Equal(IdeBed.Idle, bed.WaitNotBusy());
        bed.Command(0x20);
        Assert.Equal(IdeBed.WantsData, bed.WaitInterrupt());
    }

    [Fact]
    public void Reset_WhileTheDiskIsAtIt_DriveIsBusyUntilMemoryIsNoLongerTouched()
    {
        using IdeBed bed = ReadUnderWay();

        bed.Control(0x04);
        bed.Control(0x00);
        byte during = bed.AlternateStatus();
        bed.Command(0x20); // ignored
        bed.Faults[0].Hold = false;
        byte after = bed.WaitNotBusy();

        Assert.Equal(0x80, during);
        Assert.Equal(Idle, after);
        Assert.Equal(1, bed.In(IdeRegister.Error));
        Assert.False(bed.Primary.Level);
        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), bed.Ram(Data, Sector).ToArray());
    }

    [Fact]
    public void Write_WhileTheDriveIsBusy_IsIgnored()
    {
        using IdeBed bed = ReadUnderWay();

        bed.Command(0xCA, lba: 0x77, count: 9, device: Slave);
        bed.BusMasterCommand(StartRead);
        bed.Faults[0].Hold = false;
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(0, bed.In(IdeRegister.LbaLow));
        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), bed.Ram(Data, Sector).ToArray());
    }

    [Fact]
    public void Dispose_WhileTheDiskIsAtIt_WaitsForIt()
    {
        using IdeBed bed = ReadUnderWay();
        using Timer release = new(_ => bed.Faults[0].Hold = false, null, 50, Timeout.Infinite);

        bed.Controller.Dispose();

        Assert.Equal(bed.Disks[0].Data[..Sector].ToArray(), bed.Ram(Data, Sector).ToArray());
    }

    [Fact]
    public void Registers_TakeWhatTheStandardSays()
    {
        using IdeBed bed = new();
        Span<byte> data = stackalloc byte[4];

        bed.SetTable(0x1234_5677);
        Assert.Equal(BusStatus.Ok, bed.Controller.In(4, data));
        uint table = BitConverter.ToUInt32(data);
        Assert.Equal(BusStatus.Ok, bed.Controller.Out(2, [0xFF]));
        int status = bed.BusMasterStatus();
        BusStatus acrossChannels = bed.Controller.In(6, data);

        Assert.Equal(0x1234_5674u, table);
        Assert.Equal(0x60, status);
        Assert.Equal(BusStatus.Unaligned, acrossChannels);
    }

    [Fact]
    public void Interrupt_IsClearedByWritingOne()
    {
        using IdeBed bed = new();
        bed.Command(0xE7);
        bed.WaitInterrupt();

        int before = bed.BusMasterStatus();
        bed.Controller.Out(2, [Interrupt]);

        Assert.Equal(Interrupt, before);
        Assert.Equal(0, bed.BusMasterStatus());
    }

    /// <summary>Two drives; the first reads its first sector into <see cref="Data"/> until its disk is let go.</summary>
    private static IdeBed ReadUnderWay()
    {
        IdeBed bed = new(disks: 2);
        bed.Faults[0].Hold = true;
        bed.Regions((Data, Sector));
        bed.Command(0xC8);
        bed.BusMasterCommand(StartRead);
        return bed;
    }

    /// <summary>The bus master failed, nobody interrupts, and a reset gets the drive back.</summary>
    private static void AssertRefused(IdeBed bed)
    {
        Wait(() => bed.BusMasterStatus() == Error);
        Assert.Equal(WaitsForBusMaster, bed.AlternateStatus());
        Assert.False(bed.Primary.Level);
        bed.BusMasterCommand(Stop);
        bed.Control(0x04);
        bed.Control(0x00);
        Assert.Equal(Idle, bed.AlternateStatus());
    }
}
