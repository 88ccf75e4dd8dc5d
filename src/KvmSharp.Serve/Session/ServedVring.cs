using KvmSharp.Core;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Session;

/// <summary>What a front end has said about a vring.</summary>
internal sealed class ServedVring
{
    public ushort Size { get; set; }

    /// <summary>Where it goes on; while it runs, where it began.</summary>
    public VirtQueueState State { get; set; }

    /// <summary>Addresses of its areas in the front end's process: descriptor, driver, device. Null: not said yet.</summary>
    public (ulong Descriptor, ulong Driver, ulong Device)? Areas { get; set; }

    /// <summary>Null: it was stopped, or not started.</summary>
    public EventFd? Kick { get; set; }

    public bool Enabled { get; set; }

    /// <summary>The device has it.</summary>
    public bool Running { get; set; }
}
