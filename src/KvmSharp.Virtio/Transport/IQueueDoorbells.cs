using KvmSharp.Core;

namespace KvmSharp.Virtio.Transport;

/// <summary>The part of a transport that lets the kernel turn a queue's notifications into kicks. Called under the access lock.</summary>
internal interface IQueueDoorbells
{
    void Attach(int queue, EventFd kick);

    void Detach(int queue);
}
