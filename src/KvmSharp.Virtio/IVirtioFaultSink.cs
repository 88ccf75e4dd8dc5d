namespace KvmSharp.Virtio;

/// <summary>Takes what makes a device unusable until its driver resets it.</summary>
public interface IVirtioFaultSink
{
    /// <summary>Sets DEVICE_NEEDS_RESET and tells the driver (virtio 1.2 §2.1.2). Any thread; logs at a bounded rate; never blocks.</summary>
    void NeedsReset(string reason);
}
