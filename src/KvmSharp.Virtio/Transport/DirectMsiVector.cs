using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Virtio.Transport;

/// <summary>A vector that sends its message itself. The trigger only remembers what came while masked: nobody listens to it.</summary>
internal sealed class DirectMsiVector(IInterruptFabric fabric) : IMsiVector
{
    private readonly Lock _sync = new();
    private ulong _address;
    private uint _data;
    private bool _masked = true;

    public EventFd Trigger { get; } = new();

    public bool IsPending
    {
        get
        {
            lock (_sync)
            {
                if (!Trigger.Drain())
                    return false;
                Trigger.Signal();
                return true;
            }
        }
    }

    public void SetMessage(ulong address, uint data)
    {
        lock (_sync)
        {
            _address = address;
            _data = data;
        }
    }

    public void SetMasked(bool masked)
    {
        lock (_sync)
        {
            _masked = masked;
            if (!masked && Trigger.Drain())
                fabric.SendMsi(_address, _data);
        }
    }

    public void Signal()
    {
        lock (_sync)
        {
            if (_masked)
                Trigger.Signal();
            else
                fabric.SendMsi(_address, _data);
        }
    }

    public void Dispose() => Trigger.Dispose();
}
