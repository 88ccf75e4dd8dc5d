using KvmSharp.Backends.Block;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Storage.Ide;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>The IDE controller, if there are disks for it: primary master and slave, then secondary, in the order of the disks.</summary>
internal static class IdeModule
{
    public static void Attach(BoardContext board)
    {
        DiskConfig[] disks = [.. board.Config.Devices.OfType<DiskConfig>().Where(disk => disk.Model == DiskModel.Ide)];
        if (disks.Length == 0)
            return;
        PciRoot pci = board.Pci!; // the configuration was checked for it
        IdeDiskOptions[] options = [.. disks.Select(disk => Open(board, disk))];
        IdeController controller = board.Own(new IdeController(
            options, board.Memory, board.Interrupts.GetLine(MachineLayout.IdeGsis[0]), board.Interrupts.GetLine(MachineLayout.IdeGsis[1])));
        for (int channel = 0; channel < IdeController.ChannelCount; channel++)
        {
            string name = $"ide{channel}";
            board.Own(board.Pio.Register(MachineLayout.IdeCommandPorts[channel], IdeController.CommandPortCount, controller.CommandPorts(channel), name));
            board.Own(board.Pio.Register(MachineLayout.IdeControlPorts[channel], 1, controller.ControlPort(channel), name));
        }

        // The ports are not in the BARs, so the host bridge has to say that it passes them on.
        Bdf bridge = pci.Attach(board.Own(IdeController.CreateIsaBridge()));
        pci.Attach(new Bdf(bridge.Bus, bridge.Device, IdeController.FunctionNumber), controller.Function);
        board.Acpi = board.Acpi with { HasLegacyPciIo = true };
    }

    private static IdeDiskOptions Open(BoardContext board, DiskConfig config)
    {
        IBlockBackend backend = DiskImages.Borrow(board, config);
        if (backend.Limits.LogicalBlockSize != IdeDiskOptions.BlockBytes)
        {
            throw new ConfigException(
                $"--disk {Printable.Line(config.Path)}: an IDE disk has blocks of {IdeDiskOptions.BlockBytes} bytes, the image has {backend.Limits.LogicalBlockSize}",
                "use cache=writeback, or model=virtio");
        }

        return new IdeDiskOptions { Backend = backend, Loop = board.IoThreads.Get(config.Virtio, queues: 1)[0], Serial = SerialOf(board, config) };
    }

    /// <summary>Guests tell disks apart by their serial numbers.</summary>
    private static string SerialOf(BoardContext board, DiskConfig config)
    {
        if (config.Serial.Length > 0)
            return config.Serial;
        string name = DiskImages.NameOf(board, config);
        bool fits = name.Length <= IdeDiskOptions.MaxSerialLength && !name.AsSpan().ContainsAnyExceptInRange(' ', '~');
        return fits ? name : "";
    }
}
