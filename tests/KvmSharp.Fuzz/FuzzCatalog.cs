using KvmSharp.Fuzz.Engine;
using KvmSharp.Fuzz.Targets;

namespace KvmSharp.Fuzz;

/// <summary>The one list of targets. A new parser or device adds its line here.</summary>
internal static class FuzzCatalog
{
    internal static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("serial", () => new SerialTarget(), MaxBytes: 128),
        new("rtc", () => new RtcTarget(), MaxBytes: 128),
        new("i8042", () => new KeyboardTarget(), MaxBytes: 64),
        new("acpi", () => new AcpiTarget(), MaxBytes: 128),
        new("pci", () => new PciTarget(), MaxBytes: 192),
        new("queue-split", () => new QueueTarget(packed: false)),
        new("queue-packed", () => new QueueTarget(packed: true)),
        new("boot", () => new BootTarget(), MaxBytes: 96),
        new("boot-unpacked", () => new UnpackedKernelTarget(), MaxBytes: 96),
        new("json", () => new ConfigTarget(json: true)),
        new("options", () => new ConfigTarget(json: false)),
        new("virtio-blk-pci", () => new VirtioTarget(new BlockSubject(), pci: true)),
        new("virtio-blk-mmio", () => new VirtioTarget(new BlockSubject(), pci: false)),
        new("virtio-net-pci", () => new VirtioTarget(new NetSubject(), pci: true)),
        new("virtio-net-mmio", () => new VirtioTarget(new NetSubject(), pci: false)),
        new("virtio-console-pci", () => new VirtioTarget(new ConsoleSubject(), pci: true)),
        new("virtio-console-mmio", () => new VirtioTarget(new ConsoleSubject(), pci: false)),
        new("virtio-rng-pci", () => new VirtioTarget(new RngSubject(), pci: true)),
        new("virtio-rng-mmio", () => new VirtioTarget(new RngSubject(), pci: false)),
        new("e1000", () => new E1000Target()),
        new("ide", () => new IdeTarget()),
        new("serve", () => new ServeTarget(new BlockSubject(), net: false)),
        new("serve-net", () => new ServeTarget(new NetSubject(), net: true)),
    ];

    internal static FuzzTarget? Find(string name) => All.FirstOrDefault(target => target.Name == name);
}
