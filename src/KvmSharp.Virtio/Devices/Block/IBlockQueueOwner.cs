using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>What a queue's worker tells its device. Called on the queue's loop.</summary>
internal interface IBlockQueueOwner
{
    void SignalQueue(int index);

    /// <summary>The ring is broken and reads empty from now on.</summary>
    void OnQueueFault(int index, VirtQueueFault fault);

    /// <summary>A request without header or without room for a status.</summary>
    void OnMalformedRequest(int index);
}
