using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Modules;

public sealed class E1000ModuleTests
{
    [Fact]
    public void Attach_OnAMicrovm_IsRefusedBeforeTheTapIsOpened()
    {
        MachineConfig config = new() { Kind = MachineKind.Microvm, Devices = [new NetConfig { Tap = "t0", Model = NetModel.E1000 }] };

        ConfigException error = Assert.Throws<ConfigException>(() => new DeviceBoard(config));

        Assert.Equal("net0: a microvm has no PCI and so no e1000", error.Message);
    }
}
