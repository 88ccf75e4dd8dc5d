using KvmSharp.Core.Events;
using KvmSharp.TestKit.Block;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>What every virtio device must do, for a disk with two queues.</summary>
public sealed class VirtioBlockContractTests : VirtioDeviceContract
{
    protected override IVirtioDevice Create(EventLoop loop) =>
        new VirtioBlock(new VirtioBlockOptions { Queues = 2 }, new MemoryBlockBackend(1 << 20), [loop]);
}
