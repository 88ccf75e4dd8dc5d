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
    private SplitInFlight? _splitRecord;
    private PackedInFlight? _packedRecord;
    private QueueWrites? _writes;

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
    public bool HasAvailable => Fault == VirtQueueFault.None && (_packed ? _packedRing.HasAvailable : _split.HasAvailable || _splitRecord is { HasReplays: true });

    /// <summary>
    /// Resolves the areas and checks everything the driver, or a snapshot, has said about the queue. On a fault
    /// <paramref name="queue"/> is null. <paramref name="features"/> are the negotiated ones.
    /// </summary>
    /// <param name="inFlight">Where chains in flight are noted; those that an earlier process left there are popped first. Null: nowhere.</param>
    /// <param name="log">Where it is noted which pages are written; null: nowhere.</param>
    public static unsafe VirtQueueFault Open(
        VirtQueueConfig config, GuestMemory memory, ulong features, VirtQueueState state, out VirtQueue? queue, InFlightRegion? inFlight = null, IPageLog? log = null)
    {
        queue = null;
        SplitRing split = default;
        PackedRing packed = default;
        SplitInFlight? splitRecord = null;
        PackedInFlight? packedRecord = null;
        bool isPacked = (features & VirtioFeatures.RingPacked) != 0;
        VirtQueueFault fault = VirtQueueFault.None;
        if (inFlight is not null)
        {
            fault = RingAreas.Resolve(config, memory, isPacked, out RingAreas areas);
            if (fault == VirtQueueFault.None && inFlight.QueueSize < config.Size)
                fault = VirtQueueFault.BadSize;
            if (fault != VirtQueueFault.None)
                return fault;
            if (isPacked)
                packedRecord = PackedInFlight.Open(inFlight, config.Size, areas.Descriptor, ref state);
            else
                splitRecord = SplitInFlight.Open(inFlight, config.Size, SplitRing.ReadUsedIndex(areas), ref state);
        }

        fault = isPacked
            ? PackedRing.Open(config, memory, features, state, out packed)
            : SplitRing.Open(config, memory, features, state, out split);
        if (fault == VirtQueueFault.None)
        {
            queue = new VirtQueue(config, memory, features)
            {
                _split = split, _packedRing = packed, _splitRecord = splitRecord, _packedRecord = packedRecord,
                _writes = log is null ? null : new QueueWrites(log, memory, config, isPacked),
            };
            // What an earlier process had taken was put back.
            queue._writes?.MarkAreas();
        }

        return fault;
    }

    /// <summary>The used index of a split ring that is not open; false if its areas cannot be one's.</summary>
    public static bool TryReadUsedIndex(VirtQueueConfig config, GuestMemory memory, out ushort index)
    {
        bool resolved = RingAreas.Resolve(config, memory, packed: false, out RingAreas areas) == VirtQueueFault.None;
        index = resolved ? SplitRing.ReadUsedIndex(areas) : (ushort)0;
        return resolved;
    }

    /// <summary>
    /// Takes the next chain, checked whole. False when there is none, or after a violation. Ends the life of the chain popped before.
    /// </summary>
    public bool TryPop(out DescriptorChain chain)
    {
        chain = default;
        if (Fault != VirtQueueFault.None)
            return false;
        ushort entry = 0;
        bool popped = _packed
            ? TryPopPacked(out ushort id, out ushort count, out entry, out VirtQueueFault fault)
            : TryPopSplit(out id, out count, out fault);
        if (!popped)
        {
            Fault = fault;
            return false;
        }

        VirtQueueToken token = _inFlight.Take(id, count);
        _packedRecord?.Bind(token.Slot, entry);
        chain = _segments.ToChain(token);
        _writes?.Note(token.Slot, chain.Writable);
        return true;
    }

    /// <summary>Puts back the chain that was popped last, as if it had not been. Nothing may have been pushed since.</summary>
    public void Unpop(VirtQueueToken token)
    {
        Debug.Assert(_splitRecord is null, "heads that are noted cannot be put back: devices that do it keep order, and need no notes");
        _inFlight.Untake(token);
        if (_packed)
        {
            _packedRecord?.Untake(token.Slot);
            _packedRing.Unpop(token.DescriptorCount);
        }
        else
        {
            _split.Unpop();
        }
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
        _writes?.MarkChain(token.Slot);
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
    public bool Publish()
    {
        bool wanted;
        if (_packed)
        {
            _packedRecord?.Prepare(_packedRing.StagedCursor);
            wanted = _packedRing.Publish();
            _packedRecord?.Commit();
        }
        else
        {
            wanted = _split.Publish();
            _splitRecord?.Commit(_split.State.UsedCursor);
        }

        _writes?.MarkAreas();
        return wanted;
    }

    /// <summary>Whether what is staged, or one chain more, would interrupt the driver as it stands. A hint: it may change its mind meanwhile.</summary>
    public bool WantsInterrupt => _packed ? _packedRing.WantsInterrupt : _split.WantsInterrupt;

    /// <summary>Asks the driver not to kick while the queue is being worked on. A hint: it may kick all the same.</summary>
    public void DisableNotifications()
    {
        if (_packed)
            _packedRing.DisableNotifications();
        else
            _split.DisableNotifications();
        _writes?.MarkAreas();
    }

    /// <summary>Asks for kicks again. True: armed (or faulted), sleep. False: more has arrived meanwhile, go round again.</summary>
    public bool TryEnableNotifications()
    {
        bool armed = Fault != VirtQueueFault.None || (_packed ? _packedRing.TryEnableNotifications() : _split.TryEnableNotifications());
        _writes?.MarkAreas();
        return armed;
    }

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
        {
            _packedRing.Push(token.Id, token.DescriptorCount, bytesWritten);
            _packedRecord?.Stage(token.Slot);
        }
        else
        {
            _split.Push(token.Id, bytesWritten);
            _splitRecord?.Stage(token.Id);
        }
    }

    private bool TryPopSplit(out ushort id, out ushort count, out VirtQueueFault fault)
    {
        if (_splitRecord is not null && _splitRecord.TryTakeReplay(out id))
            return _split.TryReplay(_segments, id, out count, out fault);
        if (!_split.TryPop(_segments, out id, out count, out fault))
            return false;
        if (_splitRecord is null || _splitRecord.TryTake(id))
            return true;
        fault = VirtQueueFault.Oversubscribed;
        return false;
    }

    private unsafe bool TryPopPacked(out ushort id, out ushort count, out ushort entry, out VirtQueueFault fault)
    {
        entry = 0;
        uint position = _packedRing.Next;
        if (!_packedRing.TryPop(_segments, out id, out count, out fault))
            return false;
        if (_packedRecord is null || _packedRecord.TryTake(_packedRing.Descriptors, position, count, out entry))
            return true;
        fault = VirtQueueFault.Oversubscribed;
        return false;
    }
}
