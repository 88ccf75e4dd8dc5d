using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;

namespace KvmSharp.Fuzz.Targets;

/// <summary>One kind of virtio device and its host end, for <see cref="VirtioTarget"/>.</summary>
internal interface IVirtioSubject
{
    /// <summary>The device owns the host end from here on.</summary>
    IVirtioDevice Create(EventLoop loop);

    /// <summary>A request that the device knows, more or less.</summary>
    void AddRequest(FuzzScript script, GuestMemory memory, HostileRing ring);

    /// <summary>Something happens at the host end.</summary>
    void OnHost(FuzzScript script);

    /// <summary>The host end as it was at first.</summary>
    void Restore();

    /// <summary>The queue on which a good driver's request of <see cref="ProbeBuffers"/> is used.</summary>
    int ProbeQueue { get; }

    DriverBuffer[] ProbeBuffers { get; }
}
