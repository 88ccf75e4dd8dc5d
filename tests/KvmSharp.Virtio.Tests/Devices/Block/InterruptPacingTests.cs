using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Virtio.Tests.Devices.Block;

public sealed class InterruptPacingTests
{
    private const int Limit = 32;

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(8, 2, 4)]
    [InlineData(32, 8, 16)]
    [InlineData(1000, 32, 32)]
    public void Target_GuestKeepsSoManyInFlight_SettlesAtAboutHalf(int depth, int atLeast, int atMost)
    {
        Guest guest = new(depth);
        guest.Run(20_000);
        Assert.InRange(guest.Pacing.Target, atLeast, atMost);
    }

    [Fact]
    public void Target_OneInFlight_HoldsHardlyEver()
    {
        Guest guest = new(1);
        guest.Run(10_000);
        // A probe is what makes it wait; they become rare.
        Assert.InRange(guest.Pauses, 1, 20);
    }

    [Fact]
    public void Target_ManyInFlight_InterruptsSeldom()
    {
        Guest guest = new(32);
        guest.Run(1000);
        int before = guest.Publications;
        guest.Run(10_000);
        Assert.InRange(guest.Publications - before, 1, 10_000 / 7);
        Assert.InRange(guest.Pauses, 0, 60);
    }

    [Fact]
    public void Target_GuestBecomesSynchronous_FallsAfterOnePause()
    {
        Guest guest = new(32);
        guest.Run(5000);
        Assert.True(guest.Pacing.Target > 4);
        guest.Depth = 1;
        int pauses = guest.Pauses;
        guest.Run(200);
        Assert.Equal(1, guest.Pacing.Target);
        Assert.InRange(guest.Pauses - pauses, 1, 8);
    }

    [Fact]
    public void IsOverdue_NeverLaterThanTheLongestHold()
    {
        InterruptPacing pacing = new(Limit);
        pacing.OnArrivals(1, 1_000_000_000);
        pacing.OnArrivals(1, 9_000_000_000);
        Assert.False(pacing.IsOverdue(9_000_000_500));
        Assert.True(pacing.IsOverdue(9_000_200_001));
    }

    /// <summary>Submits a request each microsecond while fewer than its depth are out; each is finished at once.</summary>
    private sealed class Guest(int depth)
    {
        public InterruptPacing Pacing = new(Limit);

        private long _now = 1_000_000;
        private int _held;

        public int Depth { get; set; } = depth;

        public int Pauses { get; private set; }

        public int Publications { get; private set; }

        public void Run(int requests)
        {
            while (requests > 0)
            {
                _now += 1000;
                if (_held < Depth)
                {
                    Pacing.OnArrivals(1, _now);
                    _held++;
                    requests--;
                    if (Pacing.IsEnough(_held))
                        Publish(paused: false);
                }
                else if (Pacing.IsOverdue(_now))
                {
                    Publish(paused: true);
                }
            }
        }

        private void Publish(bool paused)
        {
            Pacing.OnPublished(_held, paused);
            _held = 0;
            Publications++;
            Pauses += paused ? 1 : 0;
        }
    }
}
