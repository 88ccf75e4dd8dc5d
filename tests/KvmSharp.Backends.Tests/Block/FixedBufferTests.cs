using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Tests.Block;

public sealed unsafe class FixedBufferTests
{
    [Theory]
    [InlineData(BlockCacheMode.Writeback)]
    [InlineData(BlockCacheMode.None)]
    public void ReadAfterWrite_RegisteredGuestMemory_ReturnsSameBytes(BlockCacheMode mode)
    {
        using TempImage image = new(1 << 20);
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20 });
        using RawImage disk = RawImage.Open(new RawImageOptions { Path = image.Path, Engine = BlockEngine.IoUring, Cache = mode, RegisteredMemory = memory });
        using BlockHarness harness = new(disk);
        Assert.True(((IoUringBlockIo)harness.Io).UsesFixedBuffers);
        Assert.True(memory.TryGetPointer(new GuestAddress(0x10000), 65536, out byte* source));
        Assert.True(memory.TryGetPointer(new GuestAddress(0x40000), 65536, out byte* target));
        new Random(4).NextBytes(new Span<byte>(source, 65536));
        Assert.Equal(65536, harness.Write(0, new IoVec(source, 65536)));
        Assert.Equal(65536, harness.Read(0, new IoVec(target, 65536)));
        Assert.True(new Span<byte>(source, 65536).SequenceEqual(new Span<byte>(target, 65536)));
    }
}
