using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>Rings full of nonsense: no exception, no segment outside memory, no store outside the device's own areas, bounded work.</summary>
public sealed class VirtQueueHostileTests
{
    private const ulong MemoryBytes = 0x2_0000;
    private const ulong Descriptors = 0x1000, DriverArea = 0x4000, DeviceArea = 0x8000;

    [Theory]
    [InlineData(0UL, 1)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc, 2)]
    [InlineData(VirtioFeatures.InOrder | VirtioFeatures.IndirectDesc, 3)]
    [InlineData(VirtioFeatures.RingPacked, 4)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc, 5)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.IndirectDesc, 6)]
    public void TryPop_RandomRings_NeverLeavesItsBounds(ulong features, int seed)
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
        Random random = new(seed);
        int opened = 0;
        int popped = 0;
        int faulted = 0;
        for (int round = 0; round < 3000; round++)
        {
            HostileRing ring = new(memory, random, features);
            if (ring.TryRun(out int chains, out VirtQueueFault fault))
                opened++;
            popped += chains;
            faulted += fault != VirtQueueFault.None ? 1 : 0;
        }

        // The rings are wrong in ways that get past the door, or the test tests nothing.
        Assert.InRange(opened, 300, 3000);
        Assert.True(popped > 300, $"{popped} chains popped");
        Assert.InRange(faulted, 300, 3000);
    }

    private sealed unsafe class HostileRing(GuestMemory memory, Random random, ulong features)
    {
        private readonly bool _packed = (features & VirtioFeatures.RingPacked) != 0;

        public bool TryRun(out int chains, out VirtQueueFault fault)
        {
            chains = 0;
            Span<byte> bytes = Bytes(0, MemoryBytes);
            int size = _packed ? random.Next(1, 200) : 1 << random.Next(0, 8);
            Scribble(size);
            VirtQueueConfig config = new()
            {
                Size = (ushort)size, SegmentLimit = random.Next(1, 64), DescriptorArea = new(Descriptors),
                DriverArea = new(DriverArea), DeviceArea = new(DeviceArea),
            };
            VirtQueueState state = random.Next(8) == 0
                ? new VirtQueueState((ushort)random.Next(65536), (ushort)random.Next(65536))
                : VirtQueueState.Initial(features);
            fault = VirtQueue.Open(config, memory, features, state, out VirtQueue? queue);
            if (queue is null)
                return false;
            byte[] before = bytes.ToArray();
            chains = Serve(queue, size);
            fault = queue.Fault;
            _ = queue.Save();
            AssertUntouched(before, bytes, size);
            return true;
        }

        private int Serve(VirtQueue queue, int size)
        {
            Span<VirtQueueToken> held = stackalloc VirtQueueToken[256];
            int heldCount = 0;
            int chains = 0;
            queue.DisableNotifications();
            while (queue.TryPop(out DescriptorChain chain))
            {
                chains++;
                // Nobody adds to the ring meanwhile: what is there at first is all, once the pushed ones are not re-read as new.
                Assert.True(chains <= 4 * size + 4, "more chains than the ring can hold");
                ulong total = AssertInside(chain.Readable) + AssertInside(chain.Writable);
                Assert.Equal(total, (ulong)chain.ReadableBytes + chain.WritableBytes);
                if (random.Next(4) == 0 && heldCount < held.Length)
                    held[heldCount++] = chain.Token;
                else
                    queue.Push(chain.Token, chain.WritableBytes);
                if (random.Next(3) == 0)
                    queue.Publish();
            }

            for (int i = 0; i < heldCount; i++)
                queue.Push(held[i], 1);
            queue.Publish();
            queue.TryEnableNotifications();
            return chains;
        }

        /// <summary>Random bytes in three degrees of plausibility.</summary>
        private void Scribble(int size)
        {
            Span<byte> bytes = Bytes(0, MemoryBytes);
            int plausibility = random.Next(3);
            if (plausibility == 0)
            {
                random.NextBytes(bytes);
                return;
            }

            bytes.Clear();
            random.NextBytes(bytes[(int)DriverArea..0xc000]);
            ScribbleDescriptors(Bytes(Descriptors, 16UL * (uint)size), size, plausibility, table: false);
            ScribbleDescriptors(Bytes(0x1_0000, 0x1000), 16, plausibility, table: true);
            if (_packed)
                return;
            Span<ushort> avail = MemoryMarshal.Cast<byte, ushort>(Bytes(DriverArea, 6 + 2UL * (uint)size));
            avail[1] = (ushort)random.Next(0, size + (random.Next(8) == 0 ? 3 : 1));
            for (int i = 0; i < size; i++)
                avail[2 + i] = (ushort)random.Next(0, random.Next(16) == 0 ? size + 2 : size);
        }

        private void ScribbleDescriptors(Span<byte> area, int next, int plausibility, bool table)
        {
            for (int at = 0; at < area.Length; at += 16)
            {
                int flags = random.Next(8) switch { 0 => random.Next(8), 1 => 4, < 5 => 1, _ => 0 } | (random.Next(2) == 0 ? 2 : 0);
                bool indirect = (flags & 4) != 0;
                bool wild = plausibility == 1 && random.Next(20) == 0;
                ulong address = indirect ? 0x1_0000UL : wild ? (ulong)random.NextInt64() : (ulong)random.Next(0, (int)MemoryBytes - 64);
                uint length = indirect ? 16u * (uint)random.Next(0, 8) : wild ? (uint)random.Next() : (uint)random.Next(0, 64);
                ushort link = (ushort)random.Next(0, next);
                if (_packed && !table)
                    flags |= random.Next(10) == 0 ? 0x8000 : 0x80;
                MemoryMarshal.Write(area[at..], address);
                MemoryMarshal.Write(area[(at + 8)..], length);
                MemoryMarshal.Write(area[(at + 12)..], _packed ? link : (ushort)flags);
                MemoryMarshal.Write(area[(at + 14)..], _packed ? (ushort)flags : link);
            }
        }

        private ulong AssertInside(ReadOnlySpan<IoVec> segments)
        {
            ulong total = 0;
            byte* start = memory.Regions[0].Pointer;
            foreach (IoVec segment in segments)
            {
                Assert.True(segment.Base >= start && segment.Base + segment.Length <= start + MemoryBytes && segment.Length > 0, "segment outside memory");
                total += segment.Length;
            }

            return total;
        }

        /// <summary>The device may store into its own area only, and, packed, into the descriptor ring.</summary>
        private void AssertUntouched(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, int size)
        {
            int deviceEnd = (int)DeviceArea + (_packed ? 4 : 6 + 8 * size);
            Assert.True(before[deviceEnd..].SequenceEqual(after[deviceEnd..]), "store behind the device area");
            int tableEnd = (int)Descriptors + 16 * size;
            Assert.True(before[tableEnd..(int)DeviceArea].SequenceEqual(after[tableEnd..(int)DeviceArea]), "store behind the descriptors");
            int clean = _packed ? (int)Descriptors : tableEnd;
            Assert.True(before[..clean].SequenceEqual(after[..clean]), "store into what is the driver's");
        }

        private Span<byte> Bytes(ulong address, ulong length) =>
            memory.TryGetSpan(new GuestAddress(address), (int)length, out Span<byte> span) ? span : throw new InvalidOperationException();
    }
}
