using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Chars;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioConsole;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// A console, or a number of ports for consoles and for programs in the guest (virtio 1.2 §5.3), each with its own host end. Everything but
/// the host ends' input runs on one loop, which the device does not own and which must run while queues do.
/// </summary>
public sealed class VirtioConsoleDevice : IVirtioDevice, IConsolePortOwner, IEventSink
{
    /// <summary>Largest number of a port.</summary>
    public const uint MaxPortId = 30;

    private const ushort ControlQueueSize = 32;
    private const int ControlIndex = 2;
    private const byte PciCommunication = 7, PciOther = 0x80;
    private const uint EmergencyOffset = 8;

    // wiring
    private readonly EventLoop _loop;
    private readonly ConsolePort?[] _ports;
    private readonly ConsoleControl? _control;

    // volatile state
    private VirtioContext? _context;

    /// <summary>Connects to the host ends and owns them from here on.</summary>
    public VirtioConsoleDevice(VirtioConsoleOptions options, EventLoop loop)
    {
        Check(options);
        _loop = loop;
        _ports = new ConsolePort?[options.Ports.Max(p => p.Id) + 1];
        foreach (ConsolePortOptions port in options.Ports)
            _ports[port.Id] = new ConsolePort(loop, port, this, options.MaxStallNs);
        _control = options.Multiport ? new ConsoleControl(loop, _ports) : null;
        ulong features = 1UL << VIRTIO_CONSOLE_F_SIZE | 1UL << VIRTIO_CONSOLE_F_EMERG_WRITE;
        Identity = new VirtioIdentity
        {
            Name = options.Name,
            DeviceId = VirtioIds.VIRTIO_ID_CONSOLE,
            DeviceFeatures = options.Multiport ? features | 1UL << VIRTIO_CONSOLE_F_MULTIPORT : features,
            ConfigLength = (uint)Unsafe.SizeOf<virtio_console_config>(),
            QueueSizes = Sizes(options, _ports.Length),
            SegmentLimit = Math.Max(options.QueueSize, ControlQueueSize),
            PciBaseClass = PciCommunication,
            PciSubclass = PciOther,
        };
    }

    public VirtioIdentity Identity { get; }

    bool IConsolePortOwner.IsMultiport => Volatile.Read(ref _context)?.Has(1UL << VIRTIO_CONSOLE_F_MULTIPORT) ?? false;

    public void ReadConfig(uint offset, Span<byte> data)
    {
        TerminalSize size = _ports[0] is { IsConsole: true } console ? console.Size : default;
        virtio_console_config config = new() { cols = size.Columns, rows = size.Rows, max_nr_ports = (uint)_ports.Length };
        MemoryMarshal.AsBytes(new ReadOnlySpan<virtio_console_config>(in config)).Slice((int)offset, data.Length).CopyTo(data);
    }

    /// <summary>The emergency write: the low byte goes out as it is, also before the driver is ready.</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        if (offset == EmergencyOffset && data.Length > 0)
            _ports[0]?.WriteEmergency(data[0]);
    }

    public void Activate(VirtioContext context) => Volatile.Write(ref _context, context);

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (_control is not null && index == ControlIndex)
            _control.StartToDriver(binding);
        else if (_control is not null && index == ControlIndex + 1)
            _control.StartFromDriver(binding);
        else if (index % 2 == 0)
            FindPort(index)?.StartReceive(binding);
        else
            FindPort(index)?.StartTransmit(binding);
    }

    public VirtQueueState? StopQueue(int index)
    {
        if (_control is not null && index == ControlIndex)
            return _control.StopToDriver();
        if (_control is not null && index == ControlIndex + 1)
            return _control.StopFromDriver();
        return index % 2 == 0 ? FindPort(index)?.StopReceive() : FindPort(index)?.StopTransmit();
    }

    public void Reset()
    {
        Volatile.Write(ref _context, null);
        _loop.Invoke(this, 0);
    }

    /// <summary>Takes a port away from the driver for good; its host end stays. Nothing if there is no such port. Any thread.</summary>
    public void RemovePort(uint id)
    {
        if (id < (uint)_ports.Length)
            _ports[id]?.Remove();
    }

    /// <summary>Stops what runs and lets go of the host ends.</summary>
    public void Dispose()
    {
        for (int i = 0; i < Identity.QueueSizes.Count; i++)
            StopQueue(i);
        foreach (ConsolePort? port in _ports)
            port?.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        foreach (ConsolePort? port in _ports)
            port?.Reset();
    }

    void IConsolePortOwner.OnPortChanged(ConsolePort port, CharEvent happened)
    {
        _control?.Tell();
        if (port.Id == 0 && (happened & CharEvent.Resized) != 0 && Volatile.Read(ref _context) is { } context && context.Has(1UL << VIRTIO_CONSOLE_F_SIZE))
            context.Interrupt.SignalConfig();
    }

    private static void Check(VirtioConsoleOptions options)
    {
        IReadOnlyList<ConsolePortOptions> ports = options.Ports;
        bool known = options.Multiport ? ports.Count > 0 && ports.All(p => p.Id <= MaxPortId) : ports is [{ Id: 0, IsConsole: true }];
        if (!known || ports.DistinctBy(p => p.Id).Count() != ports.Count)
            throw new ArgumentException("not a set of ports", nameof(options));
        if (!ushort.IsPow2(options.QueueSize) || options.QueueSize is < VirtioConsoleOptions.MinQueueSize or > VirtioConsoleOptions.MaxQueueSize)
            throw new ArgumentException("not a queue size", nameof(options));
        if (ports.Any(p => Encoding.UTF8.GetByteCount(p.PortName) > PortAnnouncer.MaxNameBytes))
            throw new ArgumentException($"a port's name is longer than {PortAnnouncer.MaxNameBytes} bytes", nameof(options));
    }

    /// <summary>Receive and transmit of port 0, the control queues, the other ports (§5.3.2).</summary>
    private static ushort[] Sizes(VirtioConsoleOptions options, int ports)
    {
        var sizes = new ushort[options.Multiport ? 2 + 2 * ports : 2];
        Array.Fill(sizes, options.QueueSize);
        if (options.Multiport)
            sizes.AsSpan(ControlIndex, 2).Fill(ControlQueueSize);
        return sizes;
    }

    /// <summary>The port with this virtqueue; null for queues of ports that are not there.</summary>
    private ConsolePort? FindPort(int index)
    {
        int id = index < ControlIndex ? 0 : index / 2 - 1;
        return id < _ports.Length ? _ports[id] : null;
    }
}
