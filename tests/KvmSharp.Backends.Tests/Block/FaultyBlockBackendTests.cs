using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Block;

namespace KvmSharp.Backends.Tests.Block;

public sealed class FaultyBlockBackendTests
{
    [Fact]
    public void Fail_OneRequest_OnlyItFails()
    {
        using FaultyBlockBackend disk = new(new MemoryBlockBackend(65536));
        using BlockHarness harness = new(disk);
        using NativeBuffer buffer = new(512);
        disk.Fail(BlockOperation.Write, -LibcConstants.EIO);
        Assert.Equal(-LibcConstants.EIO, harness.Write(0, buffer.Slice(0, 512)));
        Assert.Equal(512, harness.Write(0, buffer.Slice(0, 512)));
        Assert.Equal(1, disk.Injected);
    }

    [Fact]
    public void Hold_RequestsStayInFlight_UntilReleased()
    {
        using FaultyBlockBackend disk = new(new MemoryBlockBackend(65536));
        using BlockHarness harness = new(disk);
        using NativeBuffer buffer = new(512);
        disk.Hold = true;
        harness.Enqueue(BlockOperation.Read, 0, 512, BlockRequestFlags.None, buffer.Slice(0, 512));
        harness.Io.Submit();
        Assert.Equal(0, harness.Io.Reap());
        Assert.Equal(1, harness.Io.InFlight);
        disk.Hold = false;
        harness.Io.Drain();
        Assert.Single(harness.Results);
    }
}
