using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost;

/// <summary>
/// Something outside this program's threads that serves virtqueues by itself: what a device asks of it, whatever carries the requests. One is open and
/// owned by this process from the start. Before a driver's first vring come its features and memory; a vring is described whole, then
/// started. Every member but <see cref="TryStopVring"/> throws <see cref="LinuxException"/>. Calls for different vrings may come from different threads.
/// </summary>
public interface IVhostBackend : IDisposable
{
    /// <summary>Virtio feature bits that it can serve.</summary>
    ulong Features { get; }

    /// <summary>What was negotiated, of <see cref="Features"/> only. No vring runs.</summary>
    void SetFeatures(ulong features);

    /// <summary>The guest memory that all addresses are in, from now on. It must stay mapped until other memory is set or no vring runs.</summary>
    void SetMemory(GuestMemory memory);

    /// <param name="vring">Counted from 0 in each back end.</param>
    /// <param name="size">Entries.</param>
    void SetVringSize(int vring, ushort size);

    /// <param name="vring">Counted from 0 in each back end.</param>
    /// <param name="position">Where to go on, as <see cref="TryStopVring"/> says it.</param>
    void SetVringBase(int vring, uint position);

    /// <summary>Where the three areas are; they lie in the memory that was set, each whole.</summary>
    void SetVringAreas(int vring, in VhostAreas areas);

    /// <summary>The driver's notifications. Stays the caller's, who keeps it open while the vring has it.</summary>
    void SetVringKick(int vring, EventFd kick);

    /// <summary>Where the driver's interrupts go. May be changed while the vring runs. Stays the caller's.</summary>
    void SetVringCall(int vring, EventFd call);

    /// <summary>Signalled when the driver breaks the ring's rules. Stays the caller's.</summary>
    void SetVringError(int vring, EventFd error);

    /// <summary>Before it is described: its driver has set it up anew, nothing that was in flight in it is to be done. Never throws.</summary>
    void ForgetVring(int vring)
    {
    }

    void StartVring(int vring);

    /// <summary>
    /// A vring that runs and is not enabled takes and gives nothing back; it says this, or that the next that is started is one. False: there is no such thing here,
    /// a vring can only be stopped. Never throws.
    /// </summary>
    bool TryEnableVring(int vring, bool enabled);

    /// <summary>
    /// Ends what <see cref="StartVring"/> began, or the description of a vring that did not start, and lets go of its descriptors. When it returns
    /// nothing is in flight and <paramref name="position"/> is the next chain to take: split, the available index; packed, that of the available ring in
    /// the lower half and of the used ring in the upper. False if it cannot say.
    /// </summary>
    bool TryStopVring(int vring, out uint position);
}
