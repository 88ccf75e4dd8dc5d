using KvmSharp.Devices.Pci;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Modules;

/// <summary>IDE disks on a board: where guests look for them.</summary>
public sealed class IdeModuleTests : IDisposable
{
    private const int Sector = 512;

    private readonly string _image = Path.GetTempFileName();

    public IdeModuleTests() => File.WriteAllBytes(_image, [.. Enumerable.Repeat((byte)0x5A, Sector), .. new byte[Sector]]);

    public void Dispose() => File.Delete(_image);

    [Fact]
    public void Attach_IdeDisk_IsFunction1OfAnIsaBridge()
    {
        using DeviceBoard board = new(Machine(Disk()));

        Assert.Equal(
            [(new Bdf(0, 0), "pci-host"), (new Bdf(0, 1), "isa-bridge"), (new Bdf(0, 1, 1), "ide")],
            board.Context.Pci!.Functions);
        Assert.True(board.Context.Acpi.HasLegacyPciIo);
    }

    [Fact]
    public void Attach_NoIdeDisk_ThereIsNoController()
    {
        using DeviceBoard board = new(Machine(Disk() with { Model = DiskModel.Virtio }));

        Assert.Equal(2, board.Context.Pci!.Functions.Count);
        Assert.False(board.Context.Acpi.HasLegacyPciIo);
    }

    [Fact]
    public void Attach_IdeDisk_AnswersAtTheLegacyPorts()
    {
        using DeviceBoard board = new(Machine(Disk()));
        byte[] data = new byte[2];

        board.Context.Pio.Out(0x1F6, [0xE0]);
        board.Context.Pio.Out(0x1F3, [0]);
        board.Context.Pio.Out(0x1F7, [0x20]);
        SpinWait.SpinUntil(() => board.Interrupts.Line(14).Level, TimeSpan.FromSeconds(20));
        board.Context.Pio.In(0x1F7, data.AsSpan(0, 1));
        byte status = data[0];
        board.Context.Pio.In(0x1F0, data);

        Assert.Equal(0x58, status);
        Assert.Equal([0x5A, 0x5A], data);
    }

    private static MachineConfig Machine(DeviceConfig device) => new() { Boot = new BootConfig { KernelPath = "none" }, Devices = [device] };

    private DiskConfig Disk() => new() { Path = _image, Model = DiskModel.Ide };
}
