using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Test;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Transport;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Machine.Tests.Modules;

/// <summary>A board's devices without KVM: all that the configuration asks for, attached.</summary>
internal sealed class DeviceBoard : IDisposable
{
    private readonly Stack<IDisposable> _owned = [];
    private readonly HostEnds _hostEnds = new(new MachineHost { Loggers = NullLoggerFactory.Instance, OpenChar = (_, _) => new FakeCharBackend() });
    private readonly CharPorts _chars = new((_, _) => new FakeCharBackend());

    public DeviceBoard(MachineConfig config)
    {
        GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 16 << 20 });
        _owned.Push(memory);
        Context = new BoardContext(_owned)
        {
            Config = config,
            Memory = memory,
            PhysicalAddressBits = 40,
            Interrupts = Interrupts,
            Doorbells = Doorbells,
            PageDropper = new NoPages(),
            Pio = new PioBus(),
            Mmio = new MmioBus(),
            Control = new FakeMachineControl(),
            Fail = message => throw new InvalidOperationException(message),
            Chars = _chars,
            HostEnds = _hostEnds,
            Loggers = NullLoggerFactory.Instance,
            Acpi = new AcpiConfig { ApicIds = [0], HasPic = true, SerialPorts = [] },
        };
        try
        {
            DeviceCatalog.AttachAll(Context);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public FakeInterruptFabric Interrupts { get; } = new();

    public FakeDoorbellFabric Doorbells { get; } = new();

    public BoardContext Context { get; }

    public VirtioPciTransport Transport(int index) => (VirtioPciTransport)Context.Virtio.Transports[index];

    /// <summary>The driver's side of a device on PCI.</summary>
    public VirtioPciDriver Driver(int index) => new(Context.Mmio, Transport(index).Function);

    public void Dispose()
    {
        while (_owned.TryPop(out IDisposable? part))
            part.Dispose();
        _hostEnds.Dispose();
        _chars.Dispose();
    }

    private sealed class NoPages : IGuestPageDropper
    {
        public void Drop(GuestAddress address)
        {
        }
    }
}
