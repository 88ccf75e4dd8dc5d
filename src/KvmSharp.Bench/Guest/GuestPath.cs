using KvmSharp.Machine.Config;

namespace KvmSharp.Bench.Guest;

/// <summary>A way from a Linux guest to its host: the device of KvmSharp, and the same under QEMU as one would choose it there.</summary>
/// <param name="Name">As users and reports have it.</param>
/// <param name="Device">Makes the device, on a tap or a file by name.</param>
/// <param name="PeerArguments">QEMU's arguments for it, with <c>{end}</c> for the tap or the file.</param>
public sealed record GuestPath(string Name, bool IsNetwork, Func<string, DeviceConfig> Device, IReadOnlyList<string> PeerArguments)
{
    private const string Tap = "tap,id=net0,ifname={end},script=no,downscript=no", Drive = "file={end},format=raw,if=none,id=disk0";

    public static IReadOnlyList<GuestPath> All { get; } =
    [
        new("e1000", true, tap => new NetConfig { Tap = tap, Model = NetModel.E1000 }, ["-netdev", Tap + ",vhost=off", "-device", "e1000,netdev=net0"]),
        new("virtio-net", true, tap => new NetConfig { Tap = tap }, ["-netdev", Tap + ",vhost=off", "-device", "virtio-net-pci,netdev=net0"]),
        new("vhost-net", true, tap => new NetConfig { Tap = tap, Vhost = true, VhostForce = true }, ["-netdev", Tap + ",vhost=on,vhostforce=on", "-device", "virtio-net-pci,netdev=net0"]),
        new("ide", false, file => new DiskConfig { Path = file, Model = DiskModel.Ide }, ["-drive", Drive, "-device", "ide-hd,drive=disk0"]),
        new("virtio-blk", false, file => new DiskConfig { Path = file },
            ["-object", "iothread,id=io0", "-drive", Drive + ",aio=io_uring", "-device", "virtio-blk-pci,drive=disk0,iothread=io0"]),
    ];

    /// <summary>What its guest is asked to do.</summary>
    public IReadOnlyList<GuestWork> Works => IsNetwork ? GuestWork.OfNetworks : GuestWork.OfDisks;
}
