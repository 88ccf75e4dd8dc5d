using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>
/// A network's process that may die at any step: it takes buffers in batches, ahead of what it needs, and puts some back. The driver gets all of its chains back in order, each once.
/// A split ring is enough for that; a packed one needs notes.
/// </summary>
public sealed unsafe class VirtQueueBatchDeathTests : InFlightFixture
{
    private const int HeaderBytes = 32, EntryBytes = 32, CounterOffset = 8, DescriptorBytes = 16;

    public static TheoryData<ulong> Shapes => new(
        0, VirtioFeatures.InOrder | VirtioFeatures.EventIdx, VirtioFeatures.IndirectDesc,
        VirtioFeatures.RingPacked, VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.EventIdx, VirtioFeatures.RingPacked | VirtioFeatures.IndirectDesc);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Deaths_BetweenAnySteps_LoseNothingAndKeepOrder(ulong features)
    {
        for (int seed = 0; seed < 100; seed++)
            new Run(this, features, seed).Go();
    }

    /// <summary>The front end shares the region, and may write to it at any moment: nothing beyond it changes.</summary>
    [Fact]
    public void Region_IsScribbledOnMeanwhile_NothingElseIsWritten()
    {
        const int Beyond = 1 << 22, Rounds = 10_000;
        const byte Untouched = 0xA5;
        using NativeBuffer buffer = new((int)InFlightRegion.SizeOf(Size) + Beyond);
        Span<byte> beyond = buffer.Span[(int)InFlightRegion.SizeOf(Size)..];
        beyond.Fill(Untouched);
        bool ended = false;
        Thread scribbler = new(() =>
        {
            for (uint i = 0; !Volatile.Read(ref ended); i++)
            {
                for (int at = 12; at < HeaderBytes + Size * EntryBytes; at += 2)
                    Volatile.Write(ref *(ushort*)(buffer.Pointer + at), (ushort)(i % 2 == 0 ? 1 : 0x8000));
            }
        });
        scribbler.Start();
        for (int i = 0; i < Rounds; i++)
        {
            DriverQueue driver = Drive(VirtioFeatures.RingPacked);
            Offer(driver, 1);
            Offer(driver, 2);
            if (VirtQueue.Open(driver.ToConfig(), Memory, driver.Features, VirtQueueState.Initial(driver.Features), out VirtQueue? queue, new InFlightRegion(buffer.Pointer, Size)) != VirtQueueFault.None)
                continue;
            for (int popped = 0; popped < Size && queue!.TryPop(out DescriptorChain chain); popped++)
                queue.Push(chain.Token, 1);
            queue!.Publish();
        }

        Volatile.Write(ref ended, true);
        scribbler.Join();
        Assert.Equal(-1, beyond.IndexOfAnyExcept(Untouched));
    }

    private static bool Offer(DriverQueue driver, int cookie)
    {
        DriverBuffer[] buffers = cookie % 3 == 0
            ? [new(DataArea, 8, true)]
            : [new(DataArea, 8, false), new(DataArea + 64, 8, true)];
        return Offer(driver, cookie, buffers);
    }

    private sealed class Run
    {
        private const int Chains = 300, Ahead = 5;

        private readonly VirtQueueBatchDeathTests _test;
        private readonly Random _random;
        private readonly DriverQueue _driver;
        private readonly bool _takesAhead;

        /// <summary>Taken, in order.</summary>
        private readonly List<VirtQueueToken> _held = [];
        private VirtQueue _device;
        private int _offered;
        private int _finished;

        public Run(VirtQueueBatchDeathTests test, ulong features, int seed)
        {
            _test = test;
            _random = new Random(seed);
            _takesAhead = seed % 2 == 0;
            test.Notes.Span.Clear();
            _driver = test.Drive(features);
            _device = Open(VirtQueueState.Initial(features));
        }

        private bool IsPacked => (_driver.Features & VirtioFeatures.RingPacked) != 0;

        private Span<byte> Region => _test.Notes.Span;

        public void Go()
        {
            for (int steps = 0; _finished < Chains && steps < 20_000; steps++)
                Step();
            Assert.Equal(Chains, _finished);
        }

        private void Step()
        {
            switch (_random.Next(14))
            {
                case < 5:
                    if (_offered < Chains && Offer(_driver, _offered))
                        _offered++;
                    break;
                case < 9:
                    if (_takesAhead)
                        TakeAheadAndGiveSome();
                    else
                        TakeAllOrNothing();
                    break;
                case < 11:
                    _device.Publish();
                    Collect();
                    break;
                case 11:
                    End();
                    break;
                case 12:
                    Die();
                    break;
                default:
                    DieWhilePublishing();
                    break;
            }

            Assert.Equal(VirtQueueFault.None, _device.Fault);
        }

        /// <summary>As buffers are held for a tap.</summary>
        private void TakeAheadAndGiveSome()
        {
            while (_held.Count < Ahead && _device.TryPop(out DescriptorChain chain))
                _held.Add(chain.Token);
            int given = _random.Next(_held.Count + 1);
            foreach (VirtQueueToken token in _held[..given])
                _device.Push(token, 1);
            _held.RemoveRange(0, given);
        }

        /// <summary>As a frame is spread over buffers, if there are enough.</summary>
        private void TakeAllOrNothing()
        {
            int wanted = _random.Next(1, 5);
            while (_held.Count < wanted && _device.TryPop(out DescriptorChain chain))
                _held.Add(chain.Token);
            if (_held.Count < wanted)
            {
                PutBack();
                return;
            }

            _held.ForEach(token => _device.Push(token, 1));
            _held.Clear();
        }

        private void PutBack()
        {
            for (int i = _held.Count - 1; i >= 0; i--)
                _device.Unpop(_held[i]);
            _held.Clear();
        }

        private void Collect()
        {
            while (_driver.TryTakeUsed(out int cookie, out _))
                Assert.Equal(_finished++, cookie);
        }

        /// <summary>In order: what is held goes back.</summary>
        private void End()
        {
            PutBack();
            _device.Publish();
            _device = Open(_device.Save());
        }

        private void Die()
        {
            _held.Clear();
            Collect();
            if (_offered < Chains && Offer(_driver, _offered))
                _offered++;
            byte[] region = Region.ToArray(), ring = Ring();
            Reopen();
            if (!IsPacked || _random.Next(2) == 0)
                return;
            // The next one died while it put back what it had found: in the ring is some of it, or all, and then the newest is not noted any more.
            byte[] after = Ring();
            int whole = _random.Next(2 * Size);
            for (int i = 0; i < Size && i < whole; i++)
                after.AsSpan(i * DescriptorBytes, DescriptorBytes).CopyTo(ring.AsSpan(i * DescriptorBytes));
            if (whole >= Size)
                Strike(region, newest: true, InFlight(region));
            region.CopyTo(Region);
            WriteRing(ring);
            Reopen();
        }

        /// <summary>Packed: the notes say that it is about to, or the ring has it too, or some of it is not in flight any more.</summary>
        private void DieWhilePublishing()
        {
            byte[] region = Region.ToArray(), ring = Ring();
            _device.Publish();
            if (IsPacked)
            {
                byte[] after = Region.ToArray();
                after.AsSpan(PackedUsedIndex, 2).CopyTo(region.AsSpan(PackedUsedIndex));
                region[PackedUsedWrap] = after[PackedUsedWrap];
                int point = _random.Next(4);
                if (point == 0)
                    WriteRing(ring);
                if (point == 2)
                    Strike(region, newest: false, [.. InFlight(region).Where(i => after[HeaderBytes + i * EntryBytes] == 0)]);
                if (point < 3)
                    region.CopyTo(Region);
            }

            Die();
        }

        /// <summary>Some of these entries are not in flight any more, the oldest first or the newest.</summary>
        private void Strike(byte[] region, bool newest, List<int> entries)
        {
            entries.Sort((a, b) => Counter(region, a).CompareTo(Counter(region, b)));
            if (newest)
                entries.Reverse();
            foreach (int entry in entries[.._random.Next(entries.Count + 1)])
                region[HeaderBytes + entry * EntryBytes] = 0;
        }

        private static List<int> InFlight(byte[] region) => [.. Enumerable.Range(0, Size).Where(i => region[HeaderBytes + i * EntryBytes] != 0)];

        private static ulong Counter(byte[] region, int entry) => MemoryMarshal.Read<ulong>(region.AsSpan(HeaderBytes + entry * EntryBytes + CounterOffset));

        private void Reopen()
        {
            ushort used = 0;
            Assert.True(IsPacked || VirtQueue.TryReadUsedIndex(_driver.ToConfig(), _test.Memory, out used));
            // Where a packed ring stands is told wrongly: it is not known.
            _device = Open(IsPacked ? VirtQueueState.Initial(_driver.Features) : new VirtQueueState(used, used));
        }

        private VirtQueue Open(VirtQueueState state) => _test.Open(_driver, state, IsPacked ? _test.Region : null);

        private byte[] Ring()
        {
            byte[] ring = new byte[Size * DescriptorBytes];
            Assert.True(_test.Memory.TryRead(new GuestAddress(_driver.DescriptorArea), ring));
            return ring;
        }

        private void WriteRing(byte[] ring) => Assert.True(_test.Memory.TryWrite(new GuestAddress(_driver.DescriptorArea), ring));
    }
}
