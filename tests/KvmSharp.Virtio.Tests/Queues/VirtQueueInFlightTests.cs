using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>A device process that may die at any step: the next one finishes what it had taken, once.</summary>
public sealed class VirtQueueInFlightTests : InFlightFixture
{
    public static TheoryData<ulong> Shapes => new(
        0, VirtioFeatures.InOrder, VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc,
        VirtioFeatures.RingPacked, VirtioFeatures.RingPacked | VirtioFeatures.InOrder, VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Open_AfterADeath_ReplaysInOrderAndGoesOn(ulong features)
    {
        DriverQueue driver = Drive(features);
        VirtQueue first = Open(driver, VirtQueueState.Initial(features));
        for (int cookie = 0; cookie < 5; cookie++)
            Offer(driver, cookie);
        _ = Pop(first);
        VirtQueueToken served = Pop(first);
        _ = Pop(first);
        if ((features & VirtioFeatures.InOrder) == 0)
        {
            first.Push(served, 1);
            first.Publish();
            Assert.True(driver.TryTakeUsed(out int cookie, out _));
            Assert.Equal(1, cookie);
        }

        // The position that a front end tells is not to be relied on when the process before has died.
        VirtQueue second = Open(driver, VirtQueueState.Initial(features));
        List<int> finished = [];
        while (second.TryPop(out DescriptorChain chain))
            second.Push(chain.Token, 1);
        second.Publish();
        while (driver.TryTakeUsed(out int cookie, out _))
            finished.Add(cookie);

        Assert.Equal((features & VirtioFeatures.InOrder) == 0 ? [0, 2, 3, 4] : [0, 1, 2, 3, 4], finished);
        Assert.Equal(VirtQueueFault.None, second.Fault);
    }

    [Fact]
    public void Pop_DriverOffersAHeadAgainBeforeItIsUsed_FaultsWhenMoreThanAllAreTaken()
    {
        DriverQueue driver = Drive(0);
        VirtQueue device = Open(driver, VirtQueueState.Initial(0));
        Offer(driver, 0);
        int popped = 0;
        while (popped < 3 * Size && device.TryPop(out DescriptorChain chain))
        {
            device.Push(chain.Token, 0);
            popped++;
            // Available is the same head once more, and nothing has been published.
            Assert.True(Memory.TryWrite(new GuestAddress(driver.DriverArea + 2), (ushort)(popped + 1)));
        }

        Assert.Equal((Size, VirtQueueFault.Oversubscribed), (popped, device.Fault));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Deaths_AtAnyStep_LoseNothingAndRepeatNothing(ulong features)
    {
        for (int seed = 0; seed < 20; seed++)
            new Run(this, features, seed).Go();
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forget_OfASavedQueue_TheNextStandsWhereItIsTold(ulong features)
    {
        DriverQueue driver = Drive(features);
        _ = ServeAndSave(driver);
        Region.Forget();

        driver = Drive(features);
        VirtQueue second = Open(driver, VirtQueueState.Initial(features));
        Offer(driver, 9);
        _ = Pop(second);

        Assert.False(second.TryPop(out _));
        Assert.Equal(VirtQueueFault.None, second.Fault);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Save_AndNobodyIsTold_TheNextGoesOnAllTheSame(ulong features)
    {
        DriverQueue driver = Drive(features);
        VirtQueueState stands = ServeAndSave(driver);

        VirtQueue second = Open(driver, VirtQueueState.Initial(features));

        Assert.Equal(stands, second.Save());
        Assert.False(second.TryPop(out _));
    }

    /// <summary>The front end shares the region.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked)]
    public void Open_RegionIsNonsense_GivesChainsOrAFault(ulong features)
    {
        for (int seed = 0; seed < 500; seed++)
        {
            Random random = new(seed);
            DriverQueue driver = Drive(features);
            for (int i = 0; i < Notes.Length; i++)
                Notes.Span[i] = random.Next(4) == 0 ? (byte)random.Next(256) : (byte)random.Next(20);
            BitConverter.TryWriteBytes(Notes.Span[8..], (ushort)1);
            BitConverter.TryWriteBytes(Notes.Span[10..], Size);
            if (VirtQueue.Open(driver.ToConfig(), Memory, features, VirtQueueState.Initial(features), out VirtQueue? queue, Region) != VirtQueueFault.None)
                continue;
            Offer(driver, 1);
            int popped = 0;
            while (queue!.TryPop(out DescriptorChain chain))
            {
                queue.Push(chain.Token, 1);
                Assert.True(++popped <= 2 * Size);
            }

            queue.Publish();
        }
    }

    private static VirtQueueToken Pop(VirtQueue queue)
    {
        Assert.True(queue.TryPop(out DescriptorChain chain));
        return chain.Token;
    }

    private static bool Offer(DriverQueue driver, int cookie)
    {
        DriverBuffer[] buffers = cookie % 3 == 0
            ? [new(DataArea, 8, false), new(DataArea + 64, 8, true)]
            : [new(DataArea, 8, false), new(DataArea + 64, 8, true), new(DataArea + 128, 8, true)];
        return Offer(driver, cookie, buffers);
    }

    /// <summary>Three chains, by a process that ends in order.</summary>
    private VirtQueueState ServeAndSave(DriverQueue driver)
    {
        VirtQueue queue = Open(driver, VirtQueueState.Initial(driver.Features));
        for (int cookie = 0; cookie < 3; cookie++)
            Offer(driver, cookie);
        while (queue.TryPop(out DescriptorChain chain))
            queue.Push(chain.Token, 1);
        queue.Publish();
        return queue.Save();
    }

    private VirtQueue Open(DriverQueue driver, VirtQueueState state) => Open(driver, state, Region);

    private sealed class Run
    {
        private readonly VirtQueueInFlightTests _test;
        private readonly Random _random;
        private readonly DriverQueue _driver;
        private readonly List<VirtQueueToken> _taken = [];
        private readonly bool[] _finished = new bool[400];
        private VirtQueue _device;
        private int _offered;

        public Run(VirtQueueInFlightTests test, ulong features, int seed)
        {
            _test = test;
            _random = new Random(seed);
            test.Notes.Span.Clear();
            _driver = test.Drive(features);
            _device = test.Open(_driver, VirtQueueState.Initial(features));
        }

        private bool IsPacked => (_driver.Features & VirtioFeatures.RingPacked) != 0;

        public void Go()
        {
            for (int steps = 0; _offered < _finished.Length && steps < 20_000; steps++)
                Step();
            for (int i = 0; i < 2 * Size && !Array.TrueForAll(_finished, f => f); i++)
            {
                while (_device.TryPop(out DescriptorChain chain))
                    _taken.Add(chain.Token);
                foreach (VirtQueueToken token in _taken)
                    _device.Push(token, 1);
                _taken.Clear();
                _device.Publish();
                Collect();
            }

            Assert.Equal(VirtQueueFault.None, _device.Fault);
            Assert.DoesNotContain(false, _finished);
        }

        private void Step()
        {
            switch (_random.Next(12))
            {
                case < 3:
                    if (Offer(_driver, _offered))
                        _offered++;
                    break;
                case < 6:
                    if (_device.TryPop(out DescriptorChain chain))
                        _taken.Add(chain.Token);
                    break;
                case < 9 when _taken.Count > 0:
                    int at = _random.Next(_taken.Count);
                    _device.Push(_taken[at], 1);
                    _taken.RemoveAt(at);
                    break;
                case 9:
                    _device.Publish();
                    Collect();
                    break;
                case 10:
                    Die();
                    break;
                default:
                    DieWhilePublishing(seen: _random.Next(2) == 0);
                    break;
            }

            Assert.Equal(VirtQueueFault.None, _device.Fault);
        }

        private void Collect()
        {
            while (_driver.TryTakeUsed(out int cookie, out _))
            {
                Assert.False(_finished[cookie]);
                _finished[cookie] = true;
            }
        }

        private void Die()
        {
            _taken.Clear();
            // The driver goes on as long as the rings let it.
            Collect();
            if (_offered < _finished.Length && Offer(_driver, _offered))
                _offered++;
            _device = _test.Open(_driver, VirtQueueState.Initial(_driver.Features));
        }

        /// <summary>The ring has it and the region does not yet, or, packed, the other way round.</summary>
        private void DieWhilePublishing(bool seen)
        {
            byte[] region = _test.Notes.Span.ToArray();
            byte[] ring = Ring();
            _device.Publish();
            if (IsPacked)
            {
                _test.Notes.Span.Slice(PackedUsedIndex, 2).CopyTo(region.AsSpan(PackedUsedIndex));
                region[PackedUsedWrap] = _test.Notes.Span[PackedUsedWrap];
            }

            region.CopyTo(_test.Notes.Span);
            if (!seen)
                Assert.True(_test.Memory.TryWrite(new GuestAddress(_driver.DescriptorArea), ring));
            Die();
        }

        private byte[] Ring()
        {
            byte[] ring = new byte[_driver.End - _driver.DescriptorArea];
            Assert.True(_test.Memory.TryRead(new GuestAddress(_driver.DescriptorArea), ring));
            return ring;
        }
    }
}
