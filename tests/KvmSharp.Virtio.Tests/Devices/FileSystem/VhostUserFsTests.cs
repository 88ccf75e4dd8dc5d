using System.Buffers.Binary;
using System.Text;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.TestKit.Vhost;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.FileSystem;
using KvmSharp.Virtio.Queues;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.TestKit.Vhost.FakeVhostUserBackend;

namespace KvmSharp.Virtio.Tests.Devices.FileSystem;

/// <summary>A file system that another process serves: what the guest sees of it, and what becomes of it when that process dies or lies.</summary>
public sealed class VhostUserFsTests : IDisposable
{
    private const ulong Protocol = MultiQueue | ReplyAck | BackendReq;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-vhost-user-");
    private FakeVhostUserBackend? _peer;
    private VhostUserBackend? _backend;
    private VirtioDeviceBed? _bed;

    private string Path => System.IO.Path.Combine(_folder.FullName, "s");

    public void Dispose()
    {
        _bed?.Dispose();
        _backend?.Dispose();
        _peer?.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("home")]
    [InlineData("123456789012345678901234567890123456")]
    public void Identity_TagAndQueues_AreWhereTheDriverLooks(string tag)
    {
        VirtioDeviceBed bed = Create(0, 0, tag, queues: 3);

        byte[] config = new byte[bed.Device.Identity.ConfigLength];
        bed.Device.WriteConfig(0, [1, 2, 3, 4]);
        bed.Device.ReadConfig(0, config);

        Assert.Equal((26u, 40, 4), (bed.Device.Identity.DeviceId, config.Length, bed.Device.Identity.QueueSizes.Count));
        Assert.Equal(tag, Encoding.UTF8.GetString(config.AsSpan(0, 36)).TrimEnd('\0'));
        Assert.Equal(3u, BinaryPrimitives.ReadUInt32LittleEndian(config.AsSpan(36)));
        Assert.Equal(0UL, bed.Device.Identity.DeviceFeatures);
    }

    [Fact]
    public void Create_MoreQueuesThanItServes_SaysSo()
    {
        BackendException error = Assert.Throws<BackendException>(() => Create(0, 0, "t", queues: 4));

        Assert.Equal("virtio-fs: its vhost-user back end serves 3 request queues, not 4", error.Message);
    }

    [Fact]
    public void BackEndDies_Split_NextOneGoesOnBehindWhatWasGivenBack()
    {
        VirtioDeviceBed bed = Create(0, 0, "t", queues: 1);
        bed.Start();
        // As if the back end had given five chains back.
        bed.WriteMemory(bed.Drivers[1].DeviceArea + 2, [5, 0]);

        _peer!.Dispose();
        Assert.True(SpinWait.SpinUntil(() => _backend!.Connection is null, 10000));
        _peer = new FakeVhostUserBackend(Path, 0, Protocol) { Queues = 4 };

        Assert.True(SpinWait.SpinUntil(() => _peer.Heard.Contains((SetVringEnable, 1u, 1u)), 10000));
        Assert.Contains((SetVringBase, 1u, 5u), _peer.Heard);
        Assert.Empty(bed.Interrupt.Faults);
    }

    [Fact]
    public void BackEndDies_Packed_NeedsAReset()
    {
        VirtioDeviceBed bed = Create(VirtioFeatures.RingPacked, VirtioFeatures.RingPacked, "t", queues: 1);
        bed.Start();

        _peer!.Dispose();

        Assert.True(bed.Interrupt.WaitForFault());
    }

    [Fact]
    public void Reset_AndStartAgain_TellsTheSameBackEndAgain()
    {
        VirtioDeviceBed bed = Create(0, 0, "t", queues: 1);
        bed.Start();
        for (int i = 0; i < 2; i++)
            Assert.Equal(default(VirtQueueState), bed.Device.StopQueue(i));
        bed.Device.Reset();
        _peer!.Forget();

        bed.Start();

        Assert.Equal([(0u, 1u), (1, 1)], _peer.Heard.Where(h => h.Request == SetVringEnable).Select(h => (h.First, h.Second)));
        Assert.Contains(_peer.Heard, h => h.Request == SetMemTable);
    }

    [Fact]
    public void StopQueue_BackEndIsSilent_EndsInTimeAndTheDeviceGoesOnWithTheNext()
    {
        VirtioDeviceBed bed = Create(0, 0, "t", queues: 1);
        bed.Start();
        _peer!.Rudeness = request => request == GetVringBase ? [] : null;

        Assert.NotNull(bed.Device.StopQueue(1));
        _peer.Rudeness = null;
        _peer.Forget();
        bed.StartQueue(1, default);

        Assert.True(SpinWait.SpinUntil(() => _peer.Heard.Contains((SetVringEnable, 1u, 1u)), 20000));
        Assert.Empty(bed.Interrupt.Faults);
    }

    private VirtioDeviceBed Create(ulong offered, ulong negotiated, string tag, int queues)
    {
        _peer = new FakeVhostUserBackend(Path, offered, Protocol) { Queues = 4 };
        _backend = VhostUserBackend.Connect(Path, VhostUserOptions.FileSystem(128));
        VirtioFsOptions options = new() { Tag = tag, Queues = queues };
        return _bed = new VirtioDeviceBed(loop => new VhostUserFs(options, _backend, loop, NullLogger.Instance), negotiated);
    }
}
