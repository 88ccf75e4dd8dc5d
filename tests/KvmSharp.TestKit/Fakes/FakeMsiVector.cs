using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.TestKit.Fakes;

/// <summary>An MSI vector that records its messages. A signal while unmasked is delivered at once; while masked it stays in the eventfd.</summary>
public sealed class FakeMsiVector : IMsiVector
{
    public EventFd Trigger { get; } = new();

    public ulong Address { get; private set; }

    public uint Data { get; private set; }

    public bool Masked { get; private set; } = true;

    public int Delivered { get; private set; }

    public int MessageUpdates { get; private set; }

    public bool Disposed { get; private set; }

    public bool IsPending
    {
        get
        {
            if (!Masked || !Trigger.Drain())
                return false;
            Trigger.Signal();
            return true;
        }
    }

    public void SetMessage(ulong address, uint data)
    {
        Address = address;
        Data = data;
        MessageUpdates++;
    }

    public void SetMasked(bool masked)
    {
        Masked = masked;
        if (!masked && Trigger.Drain())
            Delivered++;
    }

    public void Signal()
    {
        Trigger.Signal();
        if (!Masked && Trigger.Drain())
            Delivered++;
    }

    public void Dispose()
    {
        Disposed = true;
        Trigger.Dispose();
    }
}
