using System.Buffers.Binary;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Emulated.Storage.Ide;
using static KvmSharp.Emulated.Tests.Storage.Ide.IdeBed;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

/// <summary>Commands and registers against ATA/ATAPI-7.</summary>
public sealed class IdeDriveTests
{
    private const int Sector = 512;

    [Fact]
    public void PowerOn_ShowsTheSignatureOfAnAtaDrive()
    {
        using IdeBed bed = new();

        Assert.Equal(Idle, bed.In(IdeRegister.Status));
        Assert.Equal(1, bed.In(IdeRegister.Error));
        Assert.Equal(1, bed.In(IdeRegister.Count));
        Assert.Equal(1, bed.In(IdeRegister.LbaLow));
        Assert.Equal(0, bed.In(IdeRegister.LbaMid));
        Assert.Equal(0, bed.In(IdeRegister.LbaHigh));
    }

    [Fact]
    public void Identify_SaysWhatTheDriveIs()
    {
        using IdeBed bed = new();

        bed.Command(0xEC);
        byte status = bed.WaitInterrupt();
        byte[] data = bed.ReadData(Sector);

        Assert.Equal(WantsData, status);
        Assert.Equal(0x0040, Word(data, 0));
        Assert.Equal("SN0", Text(data, 10, 10));
        Assert.Equal("KvmSharp IDE disk", Text(data, 27, 20));
        Assert.Equal(0x8010, Word(data, 47));
        Assert.Equal(0x0300, Word(data, 49) & 0x0300);
        Assert.Equal(DiskBytes / Sector, Word(data, 60) | Word(data, 61) << 16);
        Assert.Equal(0x0407, Word(data, 63));
        Assert.Equal(0x7400, Word(data, 83));
        Assert.Equal(DiskBytes / Sector, Word(data, 100) | Word(data, 101) << 16);
        Assert.Equal(0, data.Aggregate((byte)0, (sum, value) => (byte)(sum + value)));
        Assert.Equal(Idle, bed.In(IdeRegister.Status));
    }

    [Theory]
    [InlineData(true, 0x20)]
    [InlineData(false, 0)]
    public void Identify_WriteCache_IsTheDisks(bool cache, int bit)
    {
        using IdeBed bed = new(limits: new BlockLimits { WriteCache = cache });

        bed.Command(0xEC);
        bed.WaitInterrupt();
        byte[] data = bed.ReadData(Sector);

        Assert.Equal(bit, Word(data, 82) & 0x20);
        Assert.Equal(bit, Word(data, 85) & 0x20);
    }

    [Theory]
    [InlineData(0x20)]
    [InlineData(0x21)]
    public void ReadSectors_ThreeSectors_InterruptsForEachOne(int command)
    {
        using IdeBed bed = new();

        bed.Command(command, lba: 5, count: 3);
        byte first = bed.WaitInterrupt();
        byte[] a = bed.ReadData(Sector);
        byte second = bed.WaitInterrupt();
        byte[] b = bed.ReadData(Sector);
        byte third = bed.WaitInterrupt();
        byte[] c = bed.ReadData(Sector);

        Assert.Equal((WantsData, WantsData, WantsData), (first, second, third));
        Assert.Equal(bed.Disks[0].Data.Slice(5 * Sector, 3 * Sector).ToArray(), a.Concat(b).Concat(c).ToArray());
        Assert.Equal(Idle, bed.AlternateStatus());
        Assert.False(bed.Primary.Level);
    }

    [Fact]
    public void ReadMultiple_MoreThanABlock_InterruptsForEachBlock()
    {
        using IdeBed bed = new();

        bed.Command(0xC6, count: 4);
        Assert.Equal(Idle, bed.WaitInterrupt());
        bed.Command(0xC4, lba: 9, count: 6);
        bed.WaitInterrupt();
        byte[] a = bed.ReadData(4 * Sector);
        bed.WaitInterrupt();
        byte[] b = bed.ReadData(2 * Sector);

        Assert.Equal(bed.Disks[0].Data.Slice(9 * Sector, 6 * Sector).ToArray(), a.Concat(b).ToArray());
        Assert.Equal(3, bed.Primary.RisingEdges);
    }

    [Fact]
    public void ReadMultiple_TurnedOff_IsAborted()
    {
        using IdeBed bed = new();

        bed.Command(0xC6, count: 0);
        bed.WaitInterrupt();
        bed.Command(0xC4);

        AssertFails(bed, Aborted);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(32)]
    public void SetMultipleMode_NotAPowerOfTwoUpToTheLargest_IsAborted(int count)
    {
        using IdeBed bed = new();

        bed.Command(0xC6, count: count);

        AssertFails(bed, Aborted);
    }

    [Fact]
    public void WriteSectors_TwoSectors_AsksForTheFirstWithoutAnInterrupt()
    {
        using IdeBed bed = new();
        byte[] data = RandomBytes(2 * Sector);

        bed.Command(0x30, lba: 7, count: 2);
        byte before = bed.AlternateStatus();
        bool raised = bed.Primary.Level;
        bed.WriteData(data.AsSpan(0, Sector));
        byte between = bed.WaitInterrupt();
        bed.WriteData(data.AsSpan(Sector));
        byte after = bed.WaitInterrupt();

        Assert.False(raised);
        Assert.Equal((WantsData, WantsData, Idle), (before, between, after));
        Assert.Equal(data, bed.Disks[0].Data.Slice(7 * Sector, 2 * Sector).ToArray());
    }

    [Theory]
    [InlineData(0x39, 0)]
    [InlineData(0xCE, 1)]
    public void WriteMultipleExt_MoreThanABlock_IsWritten(int command, int fuaWrites)
    {
        using IdeBed bed = new();
        byte[] data = RandomBytes(20 * Sector);

        bed.CommandExt(command, lba: 100, count: 20);
        bed.WriteData(data.AsSpan(0, 16 * Sector));
        bed.WaitInterrupt();
        bed.WriteData(data.AsSpan(16 * Sector));
        byte status = bed.WaitInterrupt();

        Assert.Equal(Idle, status);
        Assert.Equal(data, bed.Disks[0].Data.Slice(100 * Sector, 20 * Sector).ToArray());
        Assert.Equal(2 * fuaWrites, bed.Disks[0].FuaWrites);
    }

    [Fact]
    public void ReadSectors_ByCylinderHeadAndSector_FindsThem()
    {
        using IdeBed bed = new();

        // 1/2/3 in the default geometry of 16 heads and 63 sectors.
        bed.Out(IdeRegister.Device, 0xA2);
        bed.Out(IdeRegister.Count, 1);
        bed.Out(IdeRegister.LbaLow, 3);
        bed.Out(IdeRegister.LbaMid, 1);
        bed.Out(IdeRegister.LbaHigh, 0);
        bed.Out(IdeRegister.Command, 0x20);
        bed.WaitInterrupt();

        Assert.Equal(bed.Disks[0].Data.Slice((((1 * 16) + 2) * 63 + 2) * Sector, Sector).ToArray(), bed.ReadData(Sector));
    }

    [Fact]
    public void ReadSectors_SectorNumberZero_IsNotFound()
    {
        using IdeBed bed = new();

        bed.Out(IdeRegister.Device, 0xA0);
        bed.Out(IdeRegister.LbaLow, 0);
        bed.Out(IdeRegister.Command, 0x20);

        AssertFails(bed, IdNotFound);
    }

    [Fact]
    public void ReadVerify_InsideTheDisk_Succeeds()
    {
        using IdeBed bed = new();

        bed.Command(0x40, lba: 0, count: 0);

        Assert.Equal(Idle, bed.WaitInterrupt());
    }

    [Theory]
    [InlineData(0xE7)]
    [InlineData(0xEA)]
    public void FlushCache_ReachesTheDisk(int command)
    {
        using IdeBed bed = new();

        bed.Command(command);

        Assert.Equal(Idle, bed.WaitInterrupt());
        Assert.Equal(1, bed.Disks[0].Flushes);
    }

    [Fact]
    public void FlushCache_Fails_IsAFaultOfTheDrive()
    {
        using IdeBed bed = new();
        bed.Faults[0].Fail(BlockOperation.Flush, -LibcConstants.EIO);

        bed.Command(0xE7);

        Assert.Equal(0x70, bed.WaitInterrupt());
    }

    [Fact]
    public void SetFeatures_WriteCacheOff_WritesAreStable()
    {
        using IdeBed bed = new();

        bed.Command(0xEF, features: 0x82);
        byte off = bed.WaitInterrupt();
        bed.Command(0x30);
        bed.WriteData(RandomBytes(Sector));
        bed.WaitInterrupt();
        bed.Command(0xEF, features: 0x02);
        byte on = bed.WaitInterrupt();

        Assert.Equal((Idle, Idle), (off, on));
        Assert.Equal(1, bed.Disks[0].FuaWrites);
    }

    [Theory]
    [InlineData(0x22, 0x0407, 0x003F)]
    [InlineData(0x20, 0x0107, 0x003F)]
    [InlineData(0x45, 0x0007, 0x203F)]
    public void SetFeatures_TransferMode_IsWhatIdentifySays(int mode, int multiword, int ultra)
    {
        using IdeBed bed = new();

        bed.Command(0xEF, count: mode, features: 0x03);
        bed.WaitInterrupt();
        bed.Command(0xEC);
        bed.WaitInterrupt();
        byte[] data = bed.ReadData(Sector);

        Assert.Equal(multiword, Word(data, 63));
        Assert.Equal(ultra, Word(data, 88));
    }

    [Theory]
    [InlineData(0x03, 0x23)]
    [InlineData(0x03, 0x46)]
    [InlineData(0x03, 0x0D)]
    [InlineData(0x77, 0)]
    public void SetFeatures_WhatIsNotThere_IsAborted(int features, int count)
    {
        using IdeBed bed = new();

        bed.Command(0xEF, count: count, features: features);

        AssertFails(bed, Aborted);
    }

    [Fact]
    public void SmartReturnStatus_SaysTheDriveIsGood()
    {
        using IdeBed bed = new();

        bed.Command(0xB0, lba: 0xC2_4F00, features: 0xDA);

        Assert.Equal(Idle, bed.WaitInterrupt());
        Assert.Equal(0x4F, bed.In(IdeRegister.LbaMid));
        Assert.Equal(0xC2, bed.In(IdeRegister.LbaHigh));
    }

    [Theory]
    [InlineData(0xD0)]
    [InlineData(0xD1)]
    public void SmartRead_GivesASectorThatSumsToZero(int subcommand)
    {
        using IdeBed bed = new();

        bed.Command(0xB0, lba: 0xC2_4F00, features: subcommand);
        bed.WaitInterrupt();
        byte[] data = bed.ReadData(Sector);

        Assert.Equal(0x10, data[0]);
        Assert.Equal(0, data.Aggregate((byte)0, (sum, value) => (byte)(sum + value)));
    }

    [Fact]
    public void Smart_DisabledOrWithoutItsKey_IsAborted()
    {
        using IdeBed bed = new();

        bed.Command(0xB0, features: 0xDA);
        byte withoutKey = bed.WaitInterrupt();
        bed.Command(0xB0, lba: 0xC2_4F00, features: 0xD9);
        byte disable = bed.WaitInterrupt();
        bed.Command(0xB0, lba: 0xC2_4F00, features: 0xDA);
        byte disabled = bed.WaitInterrupt();
        bed.Command(0xB0, lba: 0xC2_4F00, features: 0xD8);
        byte enable = bed.WaitInterrupt();

        Assert.Equal((Failed, Idle, Failed, Idle), (withoutKey, disable, disabled, enable));
    }

    [Fact]
    public void CheckPowerMode_SaysActive()
    {
        using IdeBed bed = new();

        bed.Command(0xE5);

        Assert.Equal(Idle, bed.WaitInterrupt());
        Assert.Equal(0xFF, bed.In(IdeRegister.Count));
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0x08)]
    [InlineData(0xA0)]
    [InlineData(0xA1)]
    [InlineData(0xF8)]
    [InlineData(0xFF)]
    public void Execute_UnknownCommand_IsAborted(int command)
    {
        using IdeBed bed = new();

        bed.Command(command);

        AssertFails(bed, Aborted);
    }

    [Theory]
    [InlineData(0x20)]
    [InlineData(0x30)]
    [InlineData(0x40)]
    [InlineData(0xC8)]
    [InlineData(0xCA)]
    public void Transfer_OneSectorTooFar_IsNotFoundAndNothingMoves(int command)
    {
        using IdeBed bed = new();

        bed.Command(command, lba: DiskBytes / Sector - 1, count: 2);

        AssertFails(bed, IdNotFound);
    }

    [Theory]
    [InlineData(0xFFFF_FFFF_FFFFUL, 1)]
    [InlineData(0xFFFF_FFFF_FFFFUL, 0)]
    [InlineData(0x1_0000_0000UL, 1)]
    [InlineData(0UL, 0)]
    public void TransferExt_BeyondTheDisk_IsNotFound(ulong lba, int count)
    {
        using IdeBed bed = new();

        bed.CommandExt(0x24, lba, count);

        AssertFails(bed, IdNotFound);
    }

    [Fact]
    public void ReadSectors_DiskFails_IsUncorrectableAtThatSector()
    {
        using IdeBed bed = new();

        bed.Command(0x20, lba: 0x101, count: 2);
        bed.WaitInterrupt();
        bed.Faults[0].Fail(BlockOperation.Read, -LibcConstants.EIO);
        bed.ReadData(Sector);

        AssertFails(bed, Uncorrectable);
        Assert.Equal(0x02, bed.In(IdeRegister.LbaLow));
        Assert.Equal(0x01, bed.In(IdeRegister.LbaMid));
    }

    [Fact]
    public void WriteSectors_DiskFails_IsAFaultOfTheDriveAndTheNextCommandWorks()
    {
        using IdeBed bed = new();
        bed.Faults[0].Fail(BlockOperation.Write, -LibcConstants.ENOSPC);

        bed.Command(0x30);
        bed.WriteData(new byte[Sector]);
        byte failed = bed.WaitInterrupt();
        bed.Command(0x20);
        byte next = bed.WaitInterrupt();

        Assert.Equal(0x70, failed);
        Assert.Equal(WantsData, next);
    }

    [Theory]
    [InlineData(0x30)]
    [InlineData(0xCA)]
    [InlineData(0xC5)]
    public void Write_ReadOnlyDisk_IsAborted(int command)
    {
        using IdeBed bed = new(limits: new BlockLimits { ReadOnly = true });

        bed.Command(command);

        AssertFails(bed, Aborted);
    }

    private static void AssertFails(IdeBed bed, byte error)
    {
        Assert.Equal(Failed, bed.WaitInterrupt());
        Assert.Equal(error, bed.In(IdeRegister.Error));
    }

    private static ushort Word(byte[] data, int word) => BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(2 * word));

    private static string Text(byte[] data, int word, int count)
    {
        var text = new StringBuilder();
        for (int i = word; i < word + count; i++)
            text.Append((char)(Word(data, i) >> 8)).Append((char)(Word(data, i) & 0xFF));
        return text.ToString().Trim();
    }

    private static byte[] RandomBytes(int length)
    {
        byte[] bytes = new byte[length];
        Random.Shared.NextBytes(bytes);
        return bytes;
    }
}
