using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Logging;
using Microsoft.Extensions.Logging;
using static KvmSharp.Abi.Virtio.VirtioMmio;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// Doorbells at the one notification register, told apart by the queue number written. A driver that adds notification data
/// writes other values, which then come as exits. Under the access lock.
/// </summary>
internal sealed class VirtioMmioDoorbells(IDoorbellFabric fabric, ulong address, int queueCount, ILogger logger) : IQueueDoorbells
{
    private readonly IDisposable?[] _registrations = new IDisposable?[queueCount];
    private readonly LogGate _failures = new();

    public void Attach(int queue, EventFd kick)
    {
        try
        {
            _registrations[queue] ??= fabric.RegisterMmio(address + VIRTIO_MMIO_QUEUE_NOTIFY, 4, (uint)queue, kick);
        }
        catch (LinuxException exception)
        {
            if (_failures.TryPass(out _))
                logger.LogWarning("no doorbell for queue {Queue}: {Error}", queue, exception.Message);
        }
    }

    public void Detach(int queue)
    {
        _registrations[queue]?.Dispose();
        _registrations[queue] = null;
    }
}
