using System.Security.Cryptography;

namespace KvmSharp.GuestTests;

/// <summary>Disks that this program serves to a machine monitor that is not ours: QEMU, which interprets its guest, on this very machine.</summary>
[Collection(MachineGuests.Name)]
public sealed class ServeGuestTests(GuestHost host) : IDisposable
{
    private const int Megabyte = 1 << 20, DiskMegabytes = 16, CopiedMegabytes = 4;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-serve-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("packed=off")]
    [InlineData("packed=on")]
    public void Serve_ToQemu_LinuxReadsAndWritesTheDisk(string ring)
    {
        byte[] content = RandomNumberGenerator.GetBytes(DiskMegabytes * Megabyte);
        string image = Path.Combine(_folder, "image"), socket = Path.Combine(_folder, "socket");
        File.WriteAllBytes(image, content);
        using RunningProcess server = RunningProcess.Start(RepositoryPaths.Program, ["serve", "blk", "--image", image + ",serial=served,queues=2", "--socket", socket]);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(socket), s_limit), server.Output);

        using RunningProcess qemu = RunningProcess.Start("qemu-system-x86_64",
        [
            "-accel", "tcg", "-M", "q35,memory-backend=m", "-cpu", "max", "-m", "384", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
            "-object", "memory-backend-memfd,id=m,size=384M,share=on", "-kernel", host.Kernel("6.12-cloud").BzImage, "-initrd", GuestHost.Initramfs("6.12", "cloud", "virtio_blk"),
            "-append", $"{GuestHost.CommonAppend} kvmsharp.test=virtio kvmsharp.amount={CopiedMegabytes}",
            "-chardev", "socket,id=c,path=" + socket, "-device", "vhost-user-blk-pci,chardev=c,num-queues=2,disable-legacy=on," + ring,
        ]);
        Assert.True(qemu.WaitForExit(s_limit) == 0, qemu.Output);
        server.Signal("TERM");
        Assert.Equal(0, server.WaitForExit(s_limit));

        byte[] after = File.ReadAllBytes(image);
        Assert.Contains("vda.serial=served", qemu.Output, StringComparison.Ordinal);
        Assert.Contains("vda.write=ok", qemu.Output, StringComparison.Ordinal);
        Assert.Contains($"vda.sha256={Digest(content)}", qemu.Output, StringComparison.Ordinal);
        Assert.Contains($"vda.sha256_after={Digest(after)}", qemu.Output, StringComparison.Ordinal);
        Assert.Equal(content.AsSpan(0, CopiedMegabytes * Megabyte), after.AsSpan(CopiedMegabytes * Megabyte, CopiedMegabytes * Megabyte));
        Assert.Equal("", server.Output);
    }

    private static string Digest(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
