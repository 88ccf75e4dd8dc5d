using System.Buffers.Binary;
using System.Text;
using KvmSharp.Core.Chars;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Console;
using KvmSharp.Virtio.Queues;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Virtio.Tests.Devices.Console;

/// <summary>A console without control queues: data, flow control, size.</summary>
public sealed class VirtioConsoleTests
{
    private const int Receive = 0, Transmit = 1;

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Data_BothWays_Passes(ulong features)
    {
        using ConsoleBed bed = ConsoleBed.Single(features);
        bed.Write(0, "out");
        bed.Offer(Receive, Data, 16);
        bed.Hosts[0].Feed("in"u8);

        Assert.Equal("in", bed.TakeInput(Receive, Data));
        Assert.Equal("out", bed.Hosts[0].OutputText);
        Assert.Equal(0UL, bed.Device.Identity.DeviceFeatures & ConsoleBed.Multiport);
        Assert.Equal(2, bed.Device.Identity.QueueSizes.Count);
    }

    [Fact]
    public void Receive_NoBuffers_WaitsInABoundedRing()
    {
        using ConsoleBed bed = ConsoleBed.Single();
        byte[] data = new byte[100_000];
        new Random(1).NextBytes(data);
        int taken = 0;
        for (int more = 1; more > 0; taken += more)
            more = bed.Hosts[0].Feed(data.AsSpan(taken, Math.Min(1000, data.Length - taken)));
        Assert.InRange(taken, 1, 64 * 1024);
        Assert.Equal(0, bed.Hosts[0].Frontend!.Capacity);

        var seen = new List<byte>();
        while (seen.Count < taken)
        {
            bed.Offer(Receive, Data, 4096);
            seen.AddRange(Encoding.Latin1.GetBytes(bed.TakeInput(Receive, Data)));
        }

        Assert.Equal(data[..taken], seen);
        bed.Settle();
        Assert.True(bed.Hosts[0].ReadyCalls > 0);
        Assert.True(bed.Hosts[0].Frontend!.Capacity > 0);
    }

    [Fact]
    public void Receive_BufferWithoutRoom_ComesBackEmptyAndNothingIsLost()
    {
        using ConsoleBed bed = ConsoleBed.Single();
        Assert.True(bed.Bed.Drivers[Receive].TryAdd([new DriverBuffer(Data, 8, false)], 7));
        bed.Bed.Submit(Receive);
        bed.Hosts[0].Feed("abc"u8);
        Assert.Equal(7, bed.Bed.Take(Receive, out uint written));
        Assert.Equal(0u, written);

        bed.Offer(Receive, Data, 2);
        Assert.Equal("ab", bed.TakeInput(Receive, Data));
        bed.Offer(Receive, Data, 2);
        Assert.Equal("c", bed.TakeInput(Receive, Data));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Transmit_SlowReader_StopsTheQueueAndLosesNothing(ulong features)
    {
        using ConsoleBed bed = ConsoleBed.Single(features, maxStallNs: 3_600_000_000_000);
        bed.Hosts[0].Room = 4;
        bed.Post(Transmit, Data, "0123456789");
        bed.Post(Transmit, Data + 100, "abc");
        bed.Settle();
        Assert.Equal("0123", bed.Hosts[0].OutputText);
        Assert.False(bed.Bed.Drivers[Transmit].TryTakeUsed(out _, out _));

        bed.Hosts[0].Room = 3;
        bed.Hosts[0].Raise(CharEvent.Writable);
        bed.Settle();
        Assert.Equal("0123456", bed.Hosts[0].OutputText);
        bed.Hosts[0].Room = int.MaxValue;
        bed.Hosts[0].Raise(CharEvent.Writable);

        bed.Bed.Take(Transmit, out _);
        bed.Bed.Take(Transmit, out _);
        Assert.Equal("0123456789abc", bed.Hosts[0].OutputText);
    }

    [Fact]
    public void Transmit_ReaderTakesNothing_DropsAfterTheStallUntilItReads()
    {
        using ConsoleBed bed = ConsoleBed.Single(maxStallNs: 20_000_000);
        bed.Hosts[0].Room = 2;
        bed.Write(0, "lost");
        bed.Write(0, "lost too");
        Assert.Equal("lo", bed.Hosts[0].OutputText);

        bed.Hosts[0].Room = int.MaxValue;
        bed.Hosts[0].Raise(CharEvent.Writable);
        bed.Settle();
        bed.Write(0, "!");

        Assert.Equal("lo!", bed.Hosts[0].OutputText);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void StopQueue_InTheMiddleOfAChain_GoesOnThereWhenStartedAgain(ulong features)
    {
        using ConsoleBed bed = ConsoleBed.Single(features, maxStallNs: 3_600_000_000_000);
        bed.Write(0, "-");
        bed.Hosts[0].Room = 4;
        bed.Post(Transmit, Data, "0123456789");
        bed.Settle();

        VirtQueueState state = bed.Device.StopQueue(Transmit)!.Value;
        bed.Bed.StartQueue(Transmit, state);
        bed.Hosts[0].Room = int.MaxValue;
        bed.Hosts[0].Raise(CharEvent.Writable);
        bed.Bed.Take(Transmit, out _);

        Assert.Equal("-0123456789", bed.Hosts[0].OutputText);
    }

    [Fact]
    public void Transmit_ChainLargerThanATurn_ArrivesWhole()
    {
        using ConsoleBed bed = ConsoleBed.Single(host: new FakeCharBackend { KeepsOutput = false });
        Assert.True(bed.Bed.Drivers[Transmit].TryAdd([new DriverBuffer(Data, 3_000_001, false), new DriverBuffer(Data, 4, false), new DriverBuffer(Data, 1, true)], 1));
        bed.Bed.Submit(Transmit);

        bed.Bed.Take(Transmit, out uint written);

        Assert.Equal(0u, written);
        Assert.Equal(3_000_005, bed.Hosts[0].Written);
    }

    [Fact]
    public void Size_Changes_AreInTheConfigurationAndSignalled()
    {
        using ConsoleBed bed = ConsoleBed.Single();
        bed.Hosts[0].Size = new TerminalSize(132, 43);
        bed.Hosts[0].Raise(CharEvent.Resized);
        bed.Settle();
        byte[] config = new byte[12];
        bed.Device.ReadConfig(0, config);

        Assert.Equal(132, BinaryPrimitives.ReadUInt16LittleEndian(config));
        Assert.Equal(43, BinaryPrimitives.ReadUInt16LittleEndian(config.AsSpan(2)));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(config.AsSpan(4)));
        Assert.Equal(1, bed.Bed.Interrupt.ConfigSignals);
    }

    [Fact]
    public void EmergencyWrite_Always_GoesOut()
    {
        using ConsoleBed bed = ConsoleBed.Single();
        bed.Device.WriteConfig(8, "x\0\0\0"u8);
        bed.Device.WriteConfig(0, "y"u8);

        Assert.Equal("x", bed.Hosts[0].OutputText);
    }

    [Fact]
    public void Reset_InputWaits_ReachesTheNextDriver()
    {
        using ConsoleBed bed = ConsoleBed.Single();
        bed.Hosts[0].Feed("early"u8);
        bed.Settle();
        VirtQueueState?[] states = [bed.Device.StopQueue(0), bed.Device.StopQueue(1)];
        bed.Device.Reset();
        bed.Device.Activate(bed.Bed.Context);
        bed.Bed.StartQueue(0, states[0]!.Value);

        bed.Offer(Receive, Data, 16);

        Assert.Equal("early", bed.TakeInput(Receive, Data));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Data_OnceWarm_AllocatesNothing(ulong features)
    {
        using ConsoleBed bed = ConsoleBed.Single(features, host: new FakeCharBackend { KeepsOutput = false });
        byte[] input = new byte[500];

        Assert.Equal(0, AllocationProbe.OnLoop(bed.Bed.Loop, () =>
        {
            for (int i = 0; i < 300; i++)
            {
                bed.Write(0, "some text");
                bed.Offer(Receive, Data, 1000);
                bed.Hosts[0].Feed(input);
                bed.Bed.Take(Receive, out _);
            }
        }));
    }
}
