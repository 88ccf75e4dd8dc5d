using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Virtio.Tests.Transport;

/// <summary>A device on a transport on a bus, with a driver for it.</summary>
internal sealed class TransportBed : IDisposable
{
    public const ulong MmioAddress = 0xd000_0000;

    public TransportBed(bool pci, VirtioTransportOptions? options = null, IVirtioDevice? device = null)
    {
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 0x100_0000 });
        Recorder = new RecordingVirtioDevice();
        device ??= Recorder;
        if (!pci)
        {
            Mmio = new VirtioMmioTransport(device, Memory, MmioAddress, Interrupts.GetLine(9), Doorbells, options);
            Bus.Register(MmioAddress, VirtioMmioTransport.Length, Mmio, "virtio-mmio");
            Driver = new VirtioMmioDriver(Bus, MmioAddress);
            return;
        }

        Root = new PciRoot(new PioBus(), Bus, new PciWindows
        {
            Memory32Start = 0xc000_0000, Memory32Length = 0x1000_0000, Memory64Start = 0x10_0000_0000, Memory64Length = 0x10_0000_0000,
            IoStart = 0x1000, IoLength = 0x1000,
        }, new PciInterruptRouter(Interrupts, 16));
        Pci = new VirtioPciTransport(device, Memory, Interrupts, Doorbells, options);
        Address = Root.Attach(Pci.Function);
        Driver = new VirtioPciDriver(Bus, Pci.Function);
    }

    public GuestMemory Memory { get; }

    public MmioBus Bus { get; } = new();

    public FakeInterruptFabric Interrupts { get; } = new();

    public FakeDoorbellFabric Doorbells { get; } = new();

    public RecordingVirtioDevice Recorder { get; }

    public PciRoot? Root { get; }

    public Bdf Address { get; }

    public VirtioPciTransport? Pci { get; }

    public VirtioMmioTransport? Mmio { get; }

    public VirtioTransportDriver Driver { get; }

    public VirtioPciDriver PciDriver => (VirtioPciDriver)Driver;

    public VirtioMmioDriver MmioDriver => (VirtioMmioDriver)Driver;

    /// <summary>The usual start: version 1, queue 0 with 8 entries, DRIVER_OK.</summary>
    public DriverQueue Start(ulong features = VirtioFeatures.Version1)
    {
        Assert.True(Driver.Negotiate(features));
        DriverQueue queue = DriverQueue.Create(Memory, 0x1_0000, 8, features);
        Driver.SetUpQueue(0, queue);
        Driver.SetDriverOk();
        return queue;
    }

    public void Pause()
    {
        Pci?.Pause();
        Mmio?.Pause();
    }

    public void Resume()
    {
        Pci?.Resume();
        Mmio?.Resume();
    }

    public void Dispose()
    {
        Root?.Dispose();
        Pci?.Dispose();
        Mmio?.Dispose();
        Memory.Dispose();
    }
}
