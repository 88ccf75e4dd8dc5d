using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.TestKit.Net;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>What every virtio device must do, for a network interface.</summary>
public sealed class VirtioNetContractTests : VirtioDeviceContract
{
    protected override IVirtioDevice Create(EventLoop loop) =>
        new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(0x52_54_00_12_34_56) }, new FakeNetBackend(), [loop]);
}
