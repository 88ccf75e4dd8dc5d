using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// A virtqueue, split or packed, used as a device does, over rings that lie. Every segment must lie in guest memory; every bit of it
/// is read or written, between guard pages.
/// </summary>
internal sealed unsafe class QueueTarget(bool packed) : IFuzzTarget
{
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly VirtQueueToken[] _held = new VirtQueueToken[HostileRing.MaxSize];
    private readonly Racer _racer = new();

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        ulong features = VirtioFeatures.Version1 | (packed ? VirtioFeatures.RingPacked : 0);
        features |= ((how & 1) != 0 ? VirtioFeatures.EventIdx : 0) | ((how & 2) != 0 ? VirtioFeatures.IndirectDesc : 0) | ((how & 4) != 0 ? VirtioFeatures.InOrder : 0);
        int size = packed ? 1 + script.Below(HostileRing.MaxSize) : 1 << script.Below(8);
        HostileRing ring = new(_memory, FuzzGuest.Rings, size, packed);
        VirtQueueConfig config = new()
        {
            Size = (ushort)size, SegmentLimit = 1 + script.Below(64), DescriptorArea = new(ring.DescriptorArea), DriverArea = new(ring.DriverArea),
            DeviceArea = new(ring.DeviceArea), Enabled = true,
        };
        VirtQueueState state = (how & 0x30) == 0x30 ? new VirtQueueState(script.U16(), script.U16()) : VirtQueueState.Initial(features);
        if ((how & 0x40) != 0)
        {
            ulong at = script.Number();
            switch (script.U8() % 3)
            {
                case 0:
                    config.DescriptorArea = new(at);
                    break;
                case 1:
                    config.DriverArea = new(at);
                    break;
                default:
                    config.DeviceArea = new(at);
                    break;
            }
        }

        VirtQueueFault fault = VirtQueue.Open(config, _memory, features, state, out VirtQueue? queue);
        script.Observe(2, (ulong)fault);
        if (queue is null)
            return;
        bool race = (how & 0x88) == 0x88;
        if (race)
            _racer.Start(_memory, FuzzGuest.Rings, ring.DeviceArea - FuzzGuest.Rings, script.U8());
        try
        {
            Drive(script, ring, queue, (how & 4) != 0);
        }
        finally
        {
            if (race)
                _racer.Stop();
        }

        script.Observe(2, (ulong)queue.Fault);
        _ = queue.Save();
    }

    public void Probe()
    {
        HostileRing ring = new(_memory, FuzzGuest.Rings, 16, packed);
        FuzzScript nothing = new(new Behaviours());
        ring.AddChain(nothing, [(FuzzGuest.Data, 64, false), (FuzzGuest.Data + 64, 64, true)]);
        ulong features = VirtioFeatures.Version1 | (packed ? VirtioFeatures.RingPacked : 0);
        VirtQueueConfig config = new()
        {
            Size = 16, SegmentLimit = 16, DescriptorArea = new(ring.DescriptorArea), DriverArea = new(ring.DriverArea), DeviceArea = new(ring.DeviceArea), Enabled = true,
        };
        VirtQueue.Open(config, _memory, features, VirtQueueState.Initial(features), out VirtQueue? queue);
        FuzzFailure.Unless(queue is not null && queue.TryPop(out DescriptorChain chain) && chain.ReadableBytes == 64 && chain.WritableBytes == 64, "a good chain is not popped");
    }

    public void Dispose()
    {
        _racer.Dispose();
        _memory.Dispose();
    }

    private void Drive(FuzzScript script, HostileRing ring, VirtQueue queue, bool inOrder)
    {
        int held = 0;
        while (!script.AtEnd)
        {
            byte op = script.U8();
            switch (op & 15)
            {
                case < 5:
                    ring.AddChain(script);
                    break;
                case < 7:
                    ring.Scribble(script);
                    break;
                case 7:
                    ring.Jump(script);
                    break;
                case 8:
                    queue.Publish();
                    break;
                case 9:
                    queue.DisableNotifications();
                    break;
                case 10:
                    script.Observe(3, queue.TryEnableNotifications() ? 1u : 0);
                    break;
                case 11 when held > 0:
                    queue.Push(_held[--held], script.U32());
                    break;
                default:
                    held = Pop(script, queue, op, held);
                    break;
            }

            FuzzFailure.Unless(inOrder || queue.InFlight == held, "the queue counts other chains in flight than were popped");
        }

        while (held > 0)
            queue.Push(_held[--held], 1);
        queue.Publish();
    }

    private int Pop(FuzzScript script, VirtQueue queue, byte op, int held)
    {
        // A device takes what there is; a ring cannot hold more than this, however often its index is moved.
        for (int i = 0; i < 4 && held < _held.Length && queue.TryPop(out DescriptorChain chain); i++)
        {
            ulong readable = Touch(chain.Readable, false), writable = Touch(chain.Writable, true);
            FuzzFailure.Unless(readable == chain.ReadableBytes && writable == chain.WritableBytes, "a chain is not as long as its segments");
            script.Observe(4, (ulong)(chain.Readable.Length * 8 + chain.Writable.Length));
            VirtQueueToken token = chain.Token;
            if ((op & 0x80) != 0)
                _held[held++] = token;
            else if ((op & 0x40) != 0)
                queue.Unpop(token);
            else
                queue.Push(token, chain.WritableBytes);
            if ((op & 0xC0) == 0x40)
                break;
        }

        return held;
    }

    private ulong Touch(ReadOnlySpan<IoVec> segments, bool write)
    {
        ulong total = 0;
        byte* start = _memory.Regions[0].Pointer;
        foreach (IoVec segment in segments)
        {
            FuzzFailure.Unless(segment.Base >= start && segment.Length > 0 && segment.Length <= FuzzGuest.Bytes && segment.Base - start <= (long)(FuzzGuest.Bytes - segment.Length), "a segment is outside guest memory");
            total += segment.Length;
            // The first and the last byte tell; what is the device's to write is not the ring, or the driver asked for it.
            byte sum = (byte)(segment.Base[0] + segment.Base[segment.Length - 1]);
            if (write)
                segment.Base[segment.Length - 1] = sum;
        }

        return total;
    }
}
