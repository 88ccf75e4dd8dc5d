using KvmSharp.Emulated.Storage.Ide;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

public sealed class TaskFileTests
{
    [Fact]
    public void Push_Twice_KeepsTheOlderByteBehindTheNewer()
    {
        ushort register = 0x5500;

        TaskFile.Push(ref register, 0x12);
        TaskFile.Push(ref register, 0x34);

        Assert.Equal(0x34, TaskFile.Peek(register, previous: false));
        Assert.Equal(0x12, TaskFile.Peek(register, previous: true));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(0x0000_0102_0304UL)]
    [InlineData(0xA1B2_C3D4_E5F6UL)]
    [InlineData(0xFFFF_FFFF_FFFFUL)]
    public void SetLba48_AnyAddress_ReadsBack(ulong lba)
    {
        TaskFile file = default;

        file.SetLba48(lba);

        Assert.Equal(lba, file.Lba48);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(0x0A0B_0C0DUL)]
    [InlineData(0x0FFF_FFFFUL)]
    public void SetLba28_AnyAddress_ReadsBackAndLeavesTheUpperDeviceBits(ulong lba)
    {
        var file = new TaskFile { Device = 0xF3 };

        file.SetLba28(lba);

        Assert.Equal(lba, file.Lba28);
        Assert.Equal(0xF0, file.Device & 0xF0);
    }

    [Fact]
    public void Lba48_UpperBytesAreThePreviousWrites()
    {
        var file = new TaskFile { LbaLow = 0x0401, LbaMid = 0x0502, LbaHigh = 0x0603 };

        Assert.Equal(0x0605_0403_0201UL, file.Lba48);
    }

    [Fact]
    public void Count_OfZero_IsTheLargest()
    {
        TaskFile file = default;

        Assert.Equal(256u, file.Count8);
        Assert.Equal(65536u, file.Count16);
    }
}
