using KvmSharp.Machine.Config;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Transport;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Puts virtio devices onto a board: on PCI where there is PCI, else behind memory-mapped registers that ACPI announces.</summary>
internal sealed class VirtioModule(BoardContext board)
{
    private readonly List<IVirtioTransport> _transports = [];

    /// <summary>Of all devices attached so far.</summary>
    public IReadOnlyList<IVirtioTransport> Transports => _transports;

    /// <summary>Makes the device visible to the guest. It is the board's from the call on, also if that fails.</summary>
    public void Attach(VirtioSettings settings, IVirtioDevice device)
    {
        var options = new VirtioTransportOptions
        {
            RingFeatures = RingFeatures(settings), IoEventFd = settings.IoEventFd, IrqFd = settings.IrqFd, Vectors = settings.Vectors,
            Logger = board.Loggers.CreateLogger(device.Identity.Name),
        };
        if (board.Pci is null && settings.Vectors > 0)
        {
            device.Dispose();
            throw new ConfigException($"{device.Identity.Name}: there are no MSI-X vectors without PCI", "leave vectors out, or use --machine pc");
        }

        if (board.Pci is null)
            AttachToMmio(device, options);
        else
            AttachToPci(device, options);
    }

    private void AttachToPci(IVirtioDevice device, VirtioTransportOptions options)
    {
        VirtioPciTransport transport = board.Own(new VirtioPciTransport(device, board.Memory, board.Interrupts, board.Doorbells, options));
        _transports.Add(transport);
        board.AttachToPci(transport.Function);
    }

    private void AttachToMmio(IVirtioDevice device, VirtioTransportOptions options)
    {
        int index = _transports.Count;
        if (index == MachineLayout.VirtioMmioCount)
        {
            device.Dispose();
            throw new ConfigException($"there is no room for {device.Identity.Name}", $"a microvm has at most {MachineLayout.VirtioMmioCount} virtio devices");
        }

        ulong address = MachineLayout.VirtioMmioStart + VirtioMmioTransport.Length * (uint)index;
        uint gsi = MachineLayout.VirtioMmioFirstGsi + (uint)(index % MachineLayout.VirtioMmioGsiCount);
        var transport = new VirtioMmioTransport(device, board.Memory, address, board.Interrupts.GetLine(gsi), board.Doorbells, options);
        board.Own(transport);
        _transports.Add(transport);
        board.Own(board.Mmio.Register(address, VirtioMmioTransport.Length, transport, device.Identity.Name));
        board.Describe(new VirtioMmioAml(index, address, gsi));
    }

    private static ulong RingFeatures(VirtioSettings settings) => VirtioFeatures.RingReset |
        (settings.Packed ? VirtioFeatures.RingPacked : 0) |
        (settings.EventIdx ? VirtioFeatures.EventIdx : 0) |
        (settings.IndirectDesc ? VirtioFeatures.IndirectDesc : 0) |
        (settings.InOrder ? VirtioFeatures.InOrder : 0);
}
