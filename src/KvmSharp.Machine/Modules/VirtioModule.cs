using System.Globalization;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Transport;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>
/// Puts virtio devices onto a board: on PCI where there is PCI, else behind memory-mapped registers that ACPI announces. Makes the
/// I/O threads they run on, which the board ends after the devices, both after the vCPUs and before memory.
/// </summary>
internal sealed class VirtioModule(BoardContext board)
{
    /// <summary>Threads one device gets without being asked.</summary>
    private const int MaxThreadsPerDevice = 8;

    private readonly List<IVirtioTransport> _transports = [];
    private readonly Dictionary<string, EventLoop> _ioThreads = [];

    /// <summary>Of all devices attached so far.</summary>
    public IReadOnlyList<IVirtioTransport> Transports => _transports;

    /// <summary>The device's I/O threads: those that it names, which devices may share, or new ones, one per queue within reason.</summary>
    public IReadOnlyList<EventLoop> GetIoThreads(VirtioSettings settings, int queues)
    {
        if (settings.IoThreads.Count > 0)
            return [.. settings.IoThreads.Select(name => _ioThreads.GetValueOrDefault(name) ?? StartIoThread(Find(name)))];
        var loops = new EventLoop[Math.Clamp(queues, 1, Math.Min(Environment.ProcessorCount, MaxThreadsPerDevice))];
        for (int i = 0; i < loops.Length; i++)
            loops[i] = StartIoThread(new IoThreadConfig(FirstFreeNumber()) { Cpus = settings.Cpus, PollMaxNs = settings.PollMaxNs });
        return loops;
    }

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
        try
        {
            board.Pci!.Attach(transport.Function);
        }
        catch (InvalidOperationException)
        {
            throw new ConfigException($"there is no room on the PCI bus for {device.Identity.Name}", "a machine has at most 31 PCI devices");
        }
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

    /// <summary>A number needs no declaration.</summary>
    private IoThreadConfig Find(string name) => board.Config.IoThreads.FirstOrDefault(t => t.Id == name) ?? new IoThreadConfig(name);

    private EventLoop StartIoThread(IoThreadConfig config)
    {
        string name = $"iothread {config.Id}";
        var options = new EventLoopOptions { Name = name, Cpus = config.Cpus, OnFailure = e => board.Fail($"{name} failed: {e}") };
        if (config.PollMaxNs is { } poll)
            options = options with { PollMaxNs = poll };
        EventLoop loop = board.Own(new EventLoop(options));
        try
        {
            loop.Start();
        }
        catch (LinuxException e) when (e.Errno == LibcConstants.EINVAL && config.Cpus.Count > 0)
        {
            throw new ConfigException($"{name} can run on none of the CPUs {string.Join(':', config.Cpus)}", "choose cpus that this host has and that this process may use");
        }

        _ioThreads.Add(config.Id, loop);
        return loop;
    }

    /// <summary>Numbers that are declared or that any device asks for are left to it.</summary>
    private string FirstFreeNumber()
    {
        for (int number = 0; ; number++)
        {
            string id = number.ToString(CultureInfo.InvariantCulture);
            bool taken = _ioThreads.ContainsKey(id) || board.Config.IoThreads.Any(t => t.Id == id) ||
                board.Config.Devices.Any(d => d is VirtioConfig device && device.Virtio.IoThreads.Contains(id));
            if (!taken)
                return id;
        }
    }
}
