using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Logging;
using KvmSharp.Devices.Pci;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// Keeps the doorbells of the running queues where the BAR is. The queues change under the access lock, the BAR under the PCI
/// root's, hence a lock of its own, innermost. A doorbell that cannot be registered costs speed only.
/// </summary>
internal sealed class VirtioPciDoorbells(IDoorbellFabric fabric, uint offset, uint multiplier, int queueCount, ILogger logger) : IQueueDoorbells
{
    private readonly EventFd?[] _kicks = new EventFd?[queueCount];
    private readonly IDisposable?[] _registrations = new IDisposable?[queueCount];
    private readonly LogGate _failures = new();
    private readonly Lock _sync = new();
    private ulong? _address;

    public void Attach(int queue, EventFd kick)
    {
        lock (_sync)
        {
            _kicks[queue] = kick;
            Register(queue);
        }
    }

    public void Detach(int queue)
    {
        lock (_sync)
        {
            Unregister(queue);
            _kicks[queue] = null;
        }
    }

    public void OnMoved(PciBar bar)
    {
        lock (_sync)
        {
            if (_address == bar.Address)
                return;
            _address = bar.Address;
            for (int i = 0; i < _kicks.Length; i++)
            {
                Unregister(i);
                Register(i);
            }
        }
    }

    private void Register(int queue)
    {
        if (_address is not ulong start || _kicks[queue] is not { } kick || _registrations[queue] is not null)
            return;
        try
        {
            _registrations[queue] = fabric.RegisterMmio(start + offset + multiplier * (uint)queue, 0, null, kick);
        }
        catch (LinuxException exception)
        {
            if (_failures.TryPass(out _))
                logger.LogWarning("no doorbell for queue {Queue}: {Error}", queue, exception.Message);
        }
    }

    private void Unregister(int queue)
    {
        _registrations[queue]?.Dispose();
        _registrations[queue] = null;
    }
}
