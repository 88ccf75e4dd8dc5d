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
    private readonly SortedDictionary<int, EventLoop> _ioThreads = [];

    /// <summary>Of all devices attached so far.</summary>
    public IReadOnlyList<IVirtioTransport> Transports => _transports;

    /// <summary>The device's I/O threads: the one with the number that was asked for, which devices may share, or new ones, one per queue within reason.</summary>
    public IReadOnlyList<EventLoop> GetIoThreads(int? number, int queues)
    {
        if (number is { } asked)
            return [_ioThreads.GetValueOrDefault(asked) ?? StartIoThread(asked)];
        var loops = new EventLoop[Math.Clamp(queues, 1, Math.Min(Environment.ProcessorCount, MaxThreadsPerDevice))];
        for (int i = 0; i < loops.Length; i++)
            loops[i] = StartIoThread(FirstFreeNumber());
        return loops;
    }

    /// <summary>Makes the device visible to the guest. It is the board's from the call on, also if that fails.</summary>
    public void Attach(IVirtioDevice device)
    {
        var options = new VirtioTransportOptions { Logger = board.Loggers.CreateLogger(device.Identity.Name) };
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

    private EventLoop StartIoThread(int number)
    {
        string name = $"iothread {number}";
        EventLoop loop = board.Own(new EventLoop(new EventLoopOptions { Name = name, OnFailure = e => board.Fail($"{name} failed: {e}") }));
        loop.Start();
        _ioThreads.Add(number, loop);
        return loop;
    }

    /// <summary>Numbers that any device asks for are left to it.</summary>
    private int FirstFreeNumber()
    {
        int number = 0;
        while (_ioThreads.ContainsKey(number) || board.Config.Devices.Any(d => d is VirtioConfig virtio && virtio.IoThread == number))
            number++;
        return number;
    }
}
