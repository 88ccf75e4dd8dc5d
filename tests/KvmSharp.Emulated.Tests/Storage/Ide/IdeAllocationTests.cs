using KvmSharp.Emulated.Storage.Ide;
using KvmSharp.TestKit;
using static KvmSharp.Emulated.Tests.Storage.Ide.IdeBed;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

/// <summary>A hundred thousand commands: neither the thread that writes the registers nor the disk's loop may allocate.</summary>
public sealed class IdeAllocationTests
{
    private const int Commands = 100_000;
    private const int Sector = 512;

    [Fact]
    public void Dma_ManyCommands_AllocateNothing() => AssertAllocatesNothing(static (bed, number) =>
    {
        bool read = number % 2 == 0;
        bed.Command(read ? 0xC8 : 0xCA, lba: (uint)number % 1000, count: 8);
        bed.BusMasterCommand(read ? 9 : 1);
        Finish(bed);
        bed.BusMasterCommand(0);
    });

    [Fact]
    public void Pio_ManyCommands_AllocateNothing() => AssertAllocatesNothing(static (bed, number) =>
    {
        Span<byte> data = stackalloc byte[4];
        bed.Command(0x20, lba: (uint)number % 1000);
        Finish(bed);
        for (int i = 0; i < Sector / 4; i++)
            bed.Controller.CommandPorts(0).In(IdeRegister.Data, data);
    });

    private static void AssertAllocatesNothing(Action<IdeBed, int> command)
    {
        using IdeBed bed = new(plain: true);
        bed.Regions((Data, 1024), (Data + 0x1000, 7 * Sector));

        Assert.Equal((0, 0), AllocationProbe.OnBoth(bed.Loop, () => Run(bed, command)));
        Assert.Equal(Idle, bed.AlternateStatus());
    }

    private static void Run(IdeBed bed, Action<IdeBed, int> command)
    {
        for (int i = 0; i < Commands; i++)
            command(bed, i);
    }

    private static void Finish(IdeBed bed)
    {
        while (!bed.Primary.Level)
            Thread.Yield();
        bed.In(IdeRegister.Status);
    }
}
