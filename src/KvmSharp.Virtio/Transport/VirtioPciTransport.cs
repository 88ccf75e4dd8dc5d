using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using static KvmSharp.Abi.Virtio.VirtioPci;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// A virtio device on PCI, modern only (virtio 1.2 §4.1): one memory BAR with the four structures, MSI-X unless that is turned off, a pin. Attach
/// <see cref="Function"/> to a PCI root; detach it before disposing this, which owns the device and the function.
/// </summary>
public sealed class VirtioPciTransport : IVirtioTransport
{
    private const ushort VendorId = 0x1af4;
    private const ushort FirstDeviceId = 0x1040;
    private const int BarIndex = 0;
    private const uint BarLength = 0x1_0000;
    private const uint CommonOffset = 0x0000, IsrOffset = 0x1000, ConfigOffset = 0x2000, NotifyOffset = 0x4000;
    private const uint PendingOffset = 0x7000, TableOffset = 0x8000;

    /// <summary>Every queue has a notification register of its own, so that doorbells need no data match.</summary>
    private const uint NotifyMultiplier = 4;

    private const int MaxQueues = 1024;

    private readonly VirtioTransportCore _core;
    private readonly PciEndpoint _endpoint;

    /// <param name="doorbells">Where kicks by ioeventfd are registered.</param>
    public VirtioPciTransport(IVirtioDevice device, GuestMemory memory, IInterruptFabric interrupts, IDoorbellFabric doorbells, VirtioTransportOptions? options = null)
    {
        options ??= new VirtioTransportOptions();
        VirtioIdentity identity = device.Identity;
        int queueCount = identity.QueueSizes.Count;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(queueCount, MaxQueues);
        VirtioPciConfigWindow window = new();
        _endpoint = new PciEndpoint(identity.Name, Identify(identity), window, express: true);
        int vectorCount = Math.Min(options.Vectors ?? queueCount + 1, MsixTable.MaxVectors);
        MsixTable? msix = vectorCount > 0 ? new MsixTable(options.IrqFd ? interrupts : new DirectMsiFabric(interrupts), vectorCount) : null;
        VirtioPciVectors vectors = new(_endpoint, msix, queueCount, options.IrqFd);
        VirtioPciDoorbells bells = new(doorbells, NotifyOffset, NotifyMultiplier, queueCount, options.Logger);
        _core = new VirtioTransportCore(device, memory, vectors, bells, options);

        PciBarRegions regions = new PciBarRegions()
            .Add(CommonOffset, VirtioPciCommonConfig.Length, new VirtioPciCommonConfig(_core, vectors))
            .Add(IsrOffset, 4, new VirtioPciIsr(vectors))
            .Add(NotifyOffset, NotifyMultiplier * (uint)Math.Max(queueCount, 1), new VirtioPciNotify(_core, NotifyMultiplier));
        if (identity.ConfigLength > 0)
            regions.Add(ConfigOffset, identity.ConfigLength, new VirtioPciDeviceConfig(_core));
        PciBar bar = _endpoint.AddBar(new PciBar(BarIndex, PciBarKind.Memory64, BarLength, new LockedBar(_core, regions)));
        bar.Moved = bells.OnMoved;
        AddCapabilities(_endpoint.Config, identity, (uint)queueCount);
        window.Place(_endpoint.Config, bar, _endpoint.Config.AddCapability(PciRegisters.CapabilityVendor, VirtioPciConfigWindow.CapabilityLength));
        if (msix is not null)
        {
            regions.Add(PendingOffset, (ulong)msix.PendingLength, msix.PendingBits).Add(TableOffset, (ulong)msix.TableLength, msix.Table);
            _endpoint.AddMsix(msix, BarIndex, TableOffset, PendingOffset);
        }

        _endpoint.AddIntx();
    }

    /// <summary>What goes on the PCI bus.</summary>
    public PciEndpoint Function => _endpoint;

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_core.AccessLock)
            _core.Pause();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_core.AccessLock)
            _core.Resume();
    }

    /// <summary>Stops and disposes the device. The function must be off the bus, or no vCPU run any more.</summary>
    public void Dispose()
    {
        lock (_core.AccessLock)
            _core.Dispose();
        _endpoint.Dispose();
    }

    private static PciIdentity Identify(VirtioIdentity identity) => new()
    {
        VendorId = VendorId,
        DeviceId = (ushort)(FirstDeviceId + identity.DeviceId),
        Revision = 1,
        BaseClass = identity.PciBaseClass,
        Subclass = identity.PciSubclass,
        SubsystemVendorId = VendorId,
        SubsystemId = (ushort)(FirstDeviceId + identity.DeviceId),
    };

    private static void AddCapabilities(PciConfigSpace config, VirtioIdentity identity, uint queueCount)
    {
        AddCapability(config, VIRTIO_PCI_CAP_COMMON_CFG, CommonOffset, VirtioPciCommonConfig.Length);
        AddCapability(config, VIRTIO_PCI_CAP_ISR_CFG, IsrOffset, 4);
        if (identity.ConfigLength > 0)
            AddCapability(config, VIRTIO_PCI_CAP_DEVICE_CFG, ConfigOffset, identity.ConfigLength);
        int notify = AddCapability(config, VIRTIO_PCI_CAP_NOTIFY_CFG, NotifyOffset, NotifyMultiplier * Math.Max(queueCount, 1), 20);
        config.Set32(notify + VIRTIO_PCI_NOTIFY_CAP_MULT, NotifyMultiplier);
    }

    private static int AddCapability(PciConfigSpace config, byte type, uint offset, uint length, int capabilityLength = 16)
    {
        int at = config.AddCapability(PciRegisters.CapabilityVendor, capabilityLength);
        config.Set8(at + VIRTIO_PCI_CAP_LEN, (byte)capabilityLength);
        config.Set8(at + VIRTIO_PCI_CAP_CFG_TYPE, type);
        config.Set8(at + VIRTIO_PCI_CAP_BAR, BarIndex);
        config.Set32(at + VIRTIO_PCI_CAP_OFFSET, offset);
        config.Set32(at + VIRTIO_PCI_CAP_LENGTH, length);
        return at;
    }

    /// <summary>Lets the control plane exclude register accesses.</summary>
    private sealed class LockedBar(VirtioTransportCore core, PciBarRegions regions) : IMmioDevice, ISharedAccessLock
    {
        public Lock AccessLock => core.AccessLock;

        public BusStatus Read(ulong offset, Span<byte> data) => regions.Read(offset, data);

        public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => regions.Write(offset, data);
    }
}
