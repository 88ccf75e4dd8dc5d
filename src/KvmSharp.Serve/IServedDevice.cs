using KvmSharp.Virtio;

namespace KvmSharp.Serve;

/// <summary>
/// A virtio device as a vhost-user back end offers it: the same device that a machine has, whose vrings are its queues in their order. Lives as long as its
/// socket; front ends come and go. Everything is called on the control thread. Disposing of it closes the device.
/// </summary>
public interface IServedDevice : IDisposable
{
    IVirtioDevice Device { get; }

    /// <summary>What GET_QUEUE_NUM is answered with: queues, for a network interface pairs.</summary>
    int QueueNumber { get; }

    /// <summary>What has passed through it since it was made; null: that is not counted. Any thread.</summary>
    PortStatistics? Statistics => null;

    /// <summary>Every queue of it gives chains back in the order in which it took them: a split ring tells where it stands, whoever served it.</summary>
    bool KeepsOrder => false;

    /// <summary>What is behind it has another size now: if it shows, the guest is told.</summary>
    void OnResized()
    {
    }
}
