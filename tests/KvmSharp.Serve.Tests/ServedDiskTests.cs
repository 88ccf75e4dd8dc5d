using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using static KvmSharp.Serve.Tests.ServedDisk;

namespace KvmSharp.Serve.Tests;

/// <summary>Our front end against our back end.</summary>
public sealed class ServedDiskTests
{
    public static TheoryData<ulong, bool, int> Shapes
    {
        get
        {
            TheoryData<ulong, bool, int> shapes = [];
            foreach (ulong packed in new[] { 0UL, VirtioFeatures.RingPacked })
            foreach (ulong eventIdx in new[] { 0UL, VirtioFeatures.EventIdx })
            foreach (ulong inOrder in new[] { 0UL, VirtioFeatures.InOrder })
            foreach (bool indirect in new[] { false, true })
            foreach (int queues in new[] { 1, 2, 3, 4 })
                shapes.Add(packed | eventIdx | inOrder | (indirect ? VirtioFeatures.IndirectDesc : 0), indirect, queues);
            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void WriteAndRead_WithEveryFeature_ReachesTheImage(ulong features, bool indirect, int queues)
    {
        using ServedDisk disk = new(new ServeOptions { IoThreads = 2 });
        VirtioDeviceBed bed = disk.Start(features, queues);
        Assert.Equal(queues, bed.Device.Identity.QueueSizes.Count);
        for (int i = 0; i < 40; i++)
        {
            bed.WriteMemory(ServedDisk.Buffer, Pattern(i));
            Assert.Equal(0, disk.Run(i % queues, VirtioBlk.VIRTIO_BLK_T_OUT, i, indirect));
        }

        Assert.Equal(0, disk.Run(queues - 1, VirtioBlk.VIRTIO_BLK_T_FLUSH, 0));
        for (int i = 0; i < 40; i++)
        {
            bed.WriteMemory(ServedDisk.Buffer, new byte[Block]);
            Assert.Equal(0, disk.Run((i + 1) % queues, VirtioBlk.VIRTIO_BLK_T_IN, i, indirect));
            Assert.Equal(Pattern(i), bed.ReadMemory(ServedDisk.Buffer, Block));
        }

        Assert.Equal(Pattern(39), File.ReadAllBytes(disk.Image).AsSpan(39 * Block, Block).ToArray());
        Assert.Empty(bed.Interrupt.Faults);
        Assert.Null(disk.Failure);
    }

    [Fact]
    public void FrontEnd_LeavesAndComesBack_FindsTheDeviceAsNew()
    {
        using ServedDisk disk = new();
        for (int i = 0; i < 3; i++)
        {
            using (VirtioDeviceBed bed = disk.Start(VirtioFeatures.EventIdx))
                Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_OUT, i));
            disk.Disconnect();
        }

        Assert.Null(disk.Failure);
    }

    [Theory]
    [InlineData(0UL, false)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.RingPacked, false)]
    [InlineData(0UL, true)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.RingPacked, true)]
    public void Requests_OnceServed_AllocateNothing(ulong features, bool logged)
    {
        using ServedDisk disk = new();
        VirtioDeviceBed bed = disk.Start(features);
        using VhostUserLog log = new(bed.Memory);
        Assert.Equal(logged, logged && disk.FrontEnd.TryStartLog(log));

        long bytes = AllocationProbe.OnLoop(disk.Host.IoThreads[0], () =>
        {
            for (int i = 0; i < 500; i++)
                Assert.Equal(0, disk.Run(0, i % 2 == 0 ? VirtioBlk.VIRTIO_BLK_T_OUT : VirtioBlk.VIRTIO_BLK_T_IN, i % 200));
        });

        Assert.Equal(0, bytes);
    }

    /// <summary>A guest that moves while it runs: what we wrote is copied again.</summary>
    [Theory]
    [InlineData(0UL, false)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc, true)]
    [InlineData(VirtioFeatures.RingPacked, false)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.IndirectDesc, true)]
    public void Log_OfPages_HasThoseThatRequestsWriteAndNoOthers(ulong features, bool indirect)
    {
        using ServedDisk disk = new();
        VirtioDeviceBed bed = disk.Start(features);
        using VhostUserLog log = new(bed.Memory);
        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_IN, 1, indirect));
        Assert.Empty(Pages(log));

        Assert.True(disk.FrontEnd.TryStartLog(log));
        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_OUT, 1, indirect));
        Assert.Equal([false, true, false], Marked(Pages(log)));
        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_IN, 1, indirect));
        IReadOnlyCollection<ulong> pages = Pages(log);
        Assert.Equal([false, true, true], Marked(pages));
        // The rings are below the buffers.
        Assert.Contains(pages, p => p < Header / GuestMemory.PageSize);

        disk.FrontEnd.StopLog();
        Pages(log);
        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_IN, 1, indirect));
        Assert.Empty(Pages(log));
        Assert.Empty(bed.Interrupt.Faults);
    }

    /// <summary>The front end keeps the region of what is in flight; a back end that ends in order leaves nothing there.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.InOrder)]
    public void BackEnd_EndsAndComesBack_TheDriverSeesAPause(ulong features)
    {
        using ServedDisk disk = new();
        VirtioDeviceBed bed = disk.Start(features, queues: 2);
        for (int life = 0; life < 3; life++)
        {
            for (int i = 0; i < 10; i++)
                Assert.Equal(0, disk.Run(i % 2, VirtioBlk.VIRTIO_BLK_T_OUT, i));
            disk.Restart();
        }

        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_FLUSH, 0));
        Assert.Equal(0, disk.Run(1, VirtioBlk.VIRTIO_BLK_T_FLUSH, 0));
        Assert.Empty(bed.Interrupt.Faults);
    }

    [Fact]
    public void Remove_OfAPort_LeavesNoSocket()
    {
        using ServedDisk disk = new();
        disk.Start(0);

        Assert.True(disk.Host.Remove("blk0"));

        Assert.False(disk.Host.Remove("blk0"));
        Assert.False(File.Exists(disk.Socket));
        Assert.Empty(disk.Host.Ports);
    }

    private static List<ulong> Pages(VhostUserLog log)
    {
        List<ulong> pages = [];
        Assert.True(log.TryTake(pages, limit: 1000));
        return pages;
    }

    private static bool[] Marked(IReadOnlyCollection<ulong> pages) =>
        [pages.Contains(Header / GuestMemory.PageSize), pages.Contains(Status / GuestMemory.PageSize), pages.Contains(ServedDisk.Buffer / GuestMemory.PageSize)];
}
