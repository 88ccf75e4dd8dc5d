using KvmSharp.Core.Events;
using KvmSharp.TestKit.Fakes;
using KvmSharp.Virtio.Devices.Console;

namespace KvmSharp.Virtio.Tests.Devices.Console;

public sealed class VirtioConsoleContractTests : VirtioDeviceContract
{
    protected override IVirtioDevice Create(EventLoop loop)
    {
        var port = new ConsolePortOptions(0, new FakeCharBackend()) { IsConsole = true };
        return new VirtioConsoleDevice(new VirtioConsoleOptions { Name = "console", Ports = [port] }, loop);
    }
}

public sealed class VirtioPortsContractTests : VirtioDeviceContract
{
    protected override IVirtioDevice Create(EventLoop loop)
    {
        ConsolePortOptions[] ports =
        [
            new(0, new FakeCharBackend()) { IsConsole = true },
            new(1, new FakeCharBackend()) { PortName = "org.example.one" },
            new(2, new FakeCharBackend()) { PortName = "org.example.two", IsConsole = true },
        ];
        return new VirtioConsoleDevice(new VirtioConsoleOptions { Name = "ports", Multiport = true, Ports = ports }, loop);
    }
}
