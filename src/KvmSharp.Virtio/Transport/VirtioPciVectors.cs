using KvmSharp.Core;
using KvmSharp.Devices.Pci;
using static KvmSharp.Abi.Virtio.VirtioPci;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// Interrupts of a virtio-pci device: MSI-X with a vector per queue and one for the configuration, or the pin with the ISR
/// register. Signals come from any thread; vectors are set under the access lock.
/// </summary>
internal sealed class VirtioPciVectors : IVirtioInterrupt
{
    private const int IsrQueue = 1;
    private const int IsrConfig = VIRTIO_PCI_ISR_CONFIG;

    private readonly PciEndpoint _function;
    private readonly MsixTable? _msix;
    private readonly bool _irqFd;
    private readonly ushort[] _queues;

    // Innermost: keeps the ISR register and the level of the pin together.
    private readonly Lock _pinSync = new();
    private int _isr;
    private ushort _config = VIRTIO_MSI_NO_VECTOR;

    public VirtioPciVectors(PciEndpoint function, MsixTable? msix, int queueCount, bool irqFd)
    {
        _function = function;
        _msix = msix;
        _irqFd = irqFd;
        _queues = new ushort[queueCount];
        Array.Fill(_queues, VIRTIO_MSI_NO_VECTOR);
        if (msix is not null)
            msix.EnabledChanged += OnQueueEventFdsChanged;
    }

    /// <inheritdoc/>
    public event Action? QueueEventFdsChanged;

    public ushort Config => _config;

    public ushort GetQueue(int queue) => (uint)queue < (uint)_queues.Length ? _queues[queue] : VIRTIO_MSI_NO_VECTOR;

    /// <summary>A vector that does not exist reads back as none, which is how drivers find out (virtio 1.2 §4.1.5.1.2).</summary>
    public void SetConfig(ushort vector) => Volatile.Write(ref _config, Existing(vector));

    /// <inheritdoc cref="SetConfig"/>
    public void SetQueue(int queue, ushort vector)
    {
        if ((uint)queue >= (uint)_queues.Length)
            return;
        Volatile.Write(ref _queues[queue], Existing(vector));
        OnQueueEventFdsChanged();
    }

    public void Reset()
    {
        SetConfig(VIRTIO_MSI_NO_VECTOR);
        for (int i = 0; i < _queues.Length; i++)
            SetQueue(i, VIRTIO_MSI_NO_VECTOR);
        _ = TakeIsr();
    }

    /// <summary>The ISR register: reading it clears it and lowers the pin.</summary>
    public byte TakeIsr()
    {
        lock (_pinSync)
        {
            byte isr = (byte)_isr;
            _isr = 0;
            _function.Intx?.SetLevel(false);
            return isr;
        }
    }

    public void SignalQueue(int queue) => Signal(Volatile.Read(ref _queues[queue]), IsrQueue);

    public void SignalConfig() => Signal(Volatile.Read(ref _config), IsrConfig);

    public EventFd? GetQueueEventFd(int queue) => _irqFd && _msix is { IsEnabled: true } ? _msix.GetTrigger(GetQueue(queue)) : null;

    private void Signal(ushort vector, int isr)
    {
        if (_msix is { IsEnabled: true })
        {
            // No vector is outside the table, so it is ignored.
            _msix.Signal(vector);
            return;
        }

        lock (_pinSync)
        {
            _isr |= isr;
            _function.Intx?.SetLevel(true);
        }
    }

    private void OnQueueEventFdsChanged() => QueueEventFdsChanged?.Invoke();

    private ushort Existing(ushort vector) => vector < (_msix?.VectorCount ?? 0) ? vector : VIRTIO_MSI_NO_VECTOR;
}
