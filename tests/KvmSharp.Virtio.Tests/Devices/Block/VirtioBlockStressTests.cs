using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>
/// Random requests, up to sixteen in flight, compared with a model of the disk; the queue stops and goes on in between. Each cookie owns
/// a stretch of the disk, so that requests in flight do not overlap.
/// </summary>
public sealed class VirtioBlockStressTests : IDisposable
{
    private const int Cookies = 16;
    private const int SectorsPerCookie = 64;
    private const int AreaBytes = 64 * 1024;
    private const ulong Packed = VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc;
    private const ulong Split = VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc;

    private readonly string _path = Path.GetTempFileName();
    private readonly byte[] _model = new byte[Cookies * SectorsPerCookie * 512];

    /// <summary>What each cookie runs; <c>ReadInto</c> is 0 for what is not a read.</summary>
    private readonly (ulong ReadInto, int Offset, int Length)[] _running = new (ulong, int, int)[Cookies];

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData(BlockEngine.IoUring, BlockCacheMode.Writeback, Split, 0L, 1)]
    [InlineData(BlockEngine.IoUring, BlockCacheMode.None, Packed, 50_000L, 2)]
    [InlineData(BlockEngine.IoUring, BlockCacheMode.None, Packed | VirtioFeatures.InOrder, 0L, 3)]
    [InlineData(BlockEngine.Threads, BlockCacheMode.Writeback, Split, 50_000L, 4)]
    public void RandomRequests_AnyEngineAndRing_MatchModel(BlockEngine engine, BlockCacheMode cache, ulong features, long pollMaxNs, int seed)
    {
        using (FileStream file = File.OpenWrite(_path))
            file.SetLength(_model.Length);
        Random random = new(seed);
        IBlockBackend disk = RawImage.Open(new RawImageOptions { Path = _path, Engine = engine, Cache = cache });
        using BlockFixture fixture = new(disk, features, size: 64, pollMaxNs);
        for (int round = 0; round < 150; round++)
        {
            int count = random.Next(1, Cookies + 1);
            for (int cookie = 0; cookie < count; cookie++)
                AddRandom(fixture, cookie, random);
            fixture.Kickoff();
            bool restart = random.Next(20) == 0;
            if (restart)
                fixture.Start(fixture.Stop());
            for (int i = 0; i < count; i++)
                Check(fixture, fixture.Take(out _));
        }

        fixture.Stop();
        Assert.True(_model.AsSpan().SequenceEqual(File.ReadAllBytes(_path)));
        Assert.Null(fixture.Failure);
        Assert.Empty(fixture.Faults);
    }

    private void AddRandom(BlockFixture fixture, int cookie, Random random)
    {
        int sector = random.Next(SectorsPerCookie - 16);
        int sectors = random.Next(1, 17);
        int offset = (cookie * SectorsPerCookie + sector) * 512;
        int length = sectors * 512;
        // Odd addresses make direct I/O bounce now and then.
        ulong area = BlockFixture.Data + (ulong)(cookie * AreaBytes) + (ulong)(random.Next(3) == 0 ? random.Next(1000) : 0);
        uint type = random.Next(4) switch { 0 => VIRTIO_BLK_T_IN, 1 or 2 => VIRTIO_BLK_T_OUT, _ => VIRTIO_BLK_T_WRITE_ZEROES };
        _running[cookie] = (type == VIRTIO_BLK_T_IN ? area : 0, offset, length);
        int cut = random.Next(1, length);
        if (type == VIRTIO_BLK_T_WRITE_ZEROES)
        {
            Assert.True(fixture.Memory.TryWrite(new GuestAddress(area),
                new virtio_blk_discard_write_zeroes { sector = (ulong)offset / 512, num_sectors = (uint)sectors, flags = (uint)random.Next(2) }));
            fixture.Add(cookie, type, 0, new DriverBuffer(area, 16, false));
            _model.AsSpan(offset, length).Clear();
            return;
        }

        bool read = type == VIRTIO_BLK_T_IN;
        Span<byte> bytes = fixture.Bytes(area, length);
        random.NextBytes(bytes);
        if (!read)
            bytes.CopyTo(_model.AsSpan(offset));
        fixture.Add(cookie, type, (ulong)offset / 512, indirect: random.Next(2) == 0,
            new DriverBuffer(area, (uint)cut, read), new DriverBuffer(area + (uint)cut, (uint)(length - cut), read));
    }

    private void Check(BlockFixture fixture, int cookie)
    {
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Status(cookie));
        (ulong readInto, int offset, int length) = _running[cookie];
        if (readInto != 0)
            Assert.True(fixture.Bytes(readInto, length).SequenceEqual(_model.AsSpan(offset, length)), $"read of {length} bytes at {offset} differs");
    }
}
