using System.Diagnostics;
using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// The device side of a virtqueue, split or packed. Owned by one thread at a time, without locks, without allocation once open.
/// The driver is not trusted: whatever it writes into the rings gives a checked chain, nothing, or a <see cref="Fault"/>.
/// </summary>
/// <remarks>
/// A worker loops: <see cref="DisableNotifications"/>; pop, serve, <see cref="Push"/>; <see cref="Publish"/> and interrupt if it
/// says so; until <see cref="TryEnableNotifications"/> says that it may sleep. Guest memory must stay mapped while it is used.
/// </remarks>
public sealed class VirtQueue
{
    private readonly bool _packed;
    private readonly ChainSegments _segments;
    private SplitRing _split;
    private PackedRing _packedRing;
    private InFlightTable _inFlight;
    private bool _faultReported;

    private VirtQueue(VirtQueueConfig config, GuestMemory memory, ulong features)
    {
        Size = config.Size;
        _packed = (features & VirtioFeatures.RingPacked) != 0;
        _segments = new ChainSegments(memory, Math.Max(config.SegmentLimit, 1));
        _inFlight = new InFlightTable(config.Size, (features & VirtioFeatures.InOrder) != 0);
    }

    /// <summary>Entries.</summary>
    public ushort Size { get; }

    /// <summary>The first protocol violation; from then on the queue reads empty. Latched until the queue is opened again.</summary>
    public VirtQueueFault Fault { get; private set; }

    /// <summary>Chains popped and not yet pushed (in-order: not yet handed on).</summary>
    public int InFlight => _inFlight.Count;

    /// <summary>True if <see cref="TryPop"/> would look at something: a chain or a violation.</summary>
    public bool HasAvailable => Fault == VirtQueueFault.None && (_packed ? _packedRing.HasAvailable : _split.HasAvailable);

    /// <summary>
    /// Resolves the areas and checks everything the driver, or a snapshot, has said about the queue. On a fault
    /// <paramref name="queue"/> is null. <paramref name="features"/> are the negotiated ones.
    /// </summary>
    public static VirtQueueFault Open(VirtQueueConfig config, GuestMemory memory, ulong features, VirtQueueState state, out VirtQueue? queue)
    {
        SplitRing split = default;
        PackedRing packed = default;
        VirtQueueFault fault = (features & VirtioFeatures.RingPacked) != 0
            ? PackedRing.Open(config, memory, features, state, out packed)
            : SplitRing.Open(config, memory, features, state, out split);
        queue = fault == VirtQueueFault.None ? new VirtQueue(config, memory, features) { _split = split, _packedRing = packed } : null;
        return fault;
    }

    /// <summary>
    /// Takes the next chain, checked whole. False when there is none, or after a violation. Ends the life of the chain popped before.
    /// </summary>
    public bool TryPop(out DescriptorChain chain)
    {
        chain = default;
        if (Fault != VirtQueueFault.None)
            return false;
        bool popped = _packed
            ? _packedRing.TryPop(_segments, out ushort id, out ushort count, out VirtQueueFault fault)
            : _split.TryPop(_segments, out id, out count, out fault);
        if (!popped)
        {
            Fault = fault;
            return false;
        }

        chain = _segments.ToChain(_inFlight.Take(id, count));
        return true;
    }

    /// <summary>Puts back the chain that was popped last, as if it had not been. Nothing may have been pushed since.</summary>
    public void Unpop(VirtQueueToken token)
    {
        _inFlight.Untake(token);
        if (_packed)
            _packedRing.Unpop(token.DescriptorCount);
        else
            _split.Unpop();
    }

    /// <summary>
    /// Stages a finished chain; the driver sees it after <see cref="Publish"/>. Once for every popped chain, in any order: if
    /// in-order use was negotiated it waits here for those before it.
    /// </summary>
    /// <param name="token">From <see cref="DescriptorChain.Token"/>.</param>
    /// <param name="bytesWritten">How many bytes from the start of the writable part were written.</param>
    public void Push(VirtQueueToken token, uint bytesWritten)
    {
        Debug.Assert(_inFlight.Count > 0, "push without pop");
        if (!_inFlight.InOrder)
        {
            _inFlight.Free(token.Slot);
            Stage(token, bytesWritten);
            return;
        }

        _inFlight.Finish(token, bytesWritten);
        while (_inFlight.TryTakeFinished(out VirtQueueToken next, out uint nextWritten))
            Stage(next, nextWritten);
    }

    /// <summary>Makes the staged chains visible to the driver. True: it wants an interrupt for them.</summary>
    public bool Publish() => _packed ? _packedRing.Publish() : _split.Publish();

    /// <summary>Whether what is staged, or one chain more, would interrupt the driver as it stands. A hint: it may change its mind meanwhile.</summary>
    public bool WantsInterrupt => _packed ? _packedRing.WantsInterrupt : _split.WantsInterrupt;

    /// <summary>Asks the driver not to kick while the queue is being worked on. A hint: it may kick all the same.</summary>
    public void DisableNotifications()
    {
        if (_packed)
            _packedRing.DisableNotifications();
        else
            _split.DisableNotifications();
    }

    /// <summary>Asks for kicks again. True: armed (or faulted), sleep. False: more has arrived meanwhile, go round again.</summary>
    public bool TryEnableNotifications() =>
        Fault != VirtQueueFault.None || (_packed ? _packedRing.TryEnableNotifications() : _split.TryEnableNotifications());

    /// <summary>True exactly once after a violation, for the one log line and the one DEVICE_NEEDS_RESET.</summary>
    public bool TryReportFault(out VirtQueueFault fault)
    {
        fault = Fault;
        if (fault == VirtQueueFault.None || _faultReported)
            return false;
        _faultReported = true;
        return true;
    }

    /// <summary>The cursors, to go on from in another <see cref="Open"/>. Everything popped must have been pushed and published.</summary>
    public VirtQueueState Save()
    {
        Debug.Assert(_packed ? !_packedRing.HasStaged : !_split.HasStaged, "saved with unpublished chains");
        return _packed ? _packedRing.State : _split.State;
    }

    private void Stage(VirtQueueToken token, uint bytesWritten)
    {
        if (_packed)
            _packedRing.Push(token.Id, token.DescriptorCount, bytesWritten);
        else
            _split.Push(token.Id, bytesWritten);
    }
}
