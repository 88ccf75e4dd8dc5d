using System.Buffers.Binary;
using KvmSharp.Core.Chars;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Console;
using static KvmSharp.Abi.Virtio.VirtioConsole;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Virtio.Tests.Devices.Console;

/// <summary>Many ports: the control queues, and a driver that lies in them.</summary>
public sealed class VirtioPortsTests
{
    private const uint BadId = uint.MaxValue;
    private const string NameOne = "7:1:1:6f6e65"; // "one"

    [Theory]
    [InlineData(ConsoleBed.Multiport)]
    [InlineData(ConsoleBed.Multiport | VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Handshake_AsLinuxDoesIt_AnnouncesEveryPort(ulong features)
    {
        using ConsoleBed bed = ConsoleBed.Ports(features);
        bed.Hosts[3].Size = new TerminalSize(0x50, 0x18);
        bed.OfferControlBuffers(8);
        bed.Control(BadId, VIRTIO_CONSOLE_DEVICE_READY, 1);
        Assert.Equal(["1:1:1:", "1:3:1:"], [bed.TakeControl(), bed.TakeControl()]);

        bed.Control(1, VIRTIO_CONSOLE_PORT_READY, 1);
        Assert.Equal([NameOne, "6:1:1:"], [bed.TakeControl(), bed.TakeControl()]);
        bed.Control(3, VIRTIO_CONSOLE_PORT_READY, 1);
        // Columns, then rows (virtio 1.2 §5.3.6.2).
        Assert.Equal(["4:3:1:", "5:3:0:50001800", "6:3:1:"], [bed.TakeControl(), bed.TakeControl(), bed.TakeControl()]);
        Assert.Equal(10, bed.Device.Identity.QueueSizes.Count);
    }

    [Fact]
    public void Handshake_NoControlBuffers_WaitsForThem()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Control(BadId, VIRTIO_CONSOLE_DEVICE_READY, 1);
        bed.OfferControlBuffers(1);
        Assert.Equal("1:1:1:", bed.TakeControl());
        bed.OfferControlBuffers(1);

        Assert.Equal("1:3:1:", bed.TakeControl());
    }

    [Fact]
    public void Input_GuestHasNotOpened_WaitsUntilItDoes()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Ready(1, 2);
        bed.Hosts[1].Feed("early"u8);
        bed.Offer(ConsoleBed.ReceiveQueue(1), Data, 16);
        bed.Settle();
        Assert.False(bed.Bed.Drivers[ConsoleBed.ReceiveQueue(1)].TryTakeUsed(out _, out _));

        bed.Control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);

        Assert.Equal("early", bed.TakeInput(ConsoleBed.ReceiveQueue(1), Data));
        bed.Write(1, "answer");
        Assert.Equal("answer", bed.Hosts[1].OutputText);
        Assert.Equal("", bed.Hosts[3].OutputText);
    }

    [Fact]
    public void Host_LeavesAndComesBack_IsToldInOrder()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Ready(1, 2);
        bed.Hosts[1].IsConnected = false;
        bed.Hosts[1].Raise(CharEvent.Disconnected);
        bed.OfferControlBuffers(1);
        Assert.Equal("6:1:0:", bed.TakeControl());
        bed.Hosts[1].IsConnected = true;
        bed.Hosts[1].Raise(CharEvent.Connected);
        bed.OfferControlBuffers(1);
        Assert.Equal("6:1:1:", bed.TakeControl());

        // Another client before the driver could be told that the first has left.
        bed.Hosts[1].Raise(CharEvent.Disconnected);
        bed.Hosts[1].Raise(CharEvent.Connected);
        bed.Settle();
        bed.OfferControlBuffers(2);
        Assert.Equal(["6:1:0:", "6:1:1:"], [bed.TakeControl(), bed.TakeControl()]);
    }

    [Fact]
    public void Host_IsNotConnected_IsNotOpen()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Hosts[1].IsConnected = false;
        bed.OfferControlBuffers(4);
        bed.Control(BadId, VIRTIO_CONSOLE_DEVICE_READY, 1);
        Assert.Equal(["1:1:1:", "1:3:1:"], [bed.TakeControl(), bed.TakeControl()]);

        bed.Control(1, VIRTIO_CONSOLE_PORT_READY, 1);
        Assert.Equal(NameOne, bed.TakeControl());
        bed.Settle();
        Assert.False(bed.Bed.Drivers[ConsoleBed.ToDriver].TryTakeUsed(out _, out _));
    }

    [Fact]
    public void RemovePort_OfAReadyPort_IsToldAndThePortStaysSilent()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Ready(1, 2);
        bed.Device.RemovePort(1);
        bed.Device.RemovePort(2);
        bed.Device.RemovePort(BadId);
        bed.OfferControlBuffers(4);
        Assert.Equal("2:1:1:", bed.TakeControl());

        bed.Control(1, VIRTIO_CONSOLE_PORT_READY, 1);
        bed.Control(BadId, VIRTIO_CONSOLE_DEVICE_READY, 1);

        Assert.Equal("1:3:1:", bed.TakeControl());
    }

    [Fact]
    public void Transmit_AgentReaderTakesNothing_WaitsForEver()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Ready(1, 2);
        bed.Hosts[1].Room = 0;
        bed.Post(ConsoleBed.TransmitQueue(1), Data, "patience");
        bed.Settle();
        Assert.False(bed.Bed.Drivers[ConsoleBed.TransmitQueue(1)].TryTakeUsed(out _, out _));

        bed.Hosts[1].Room = int.MaxValue;
        bed.Hosts[1].Raise(CharEvent.Writable);
        bed.Bed.Take(ConsoleBed.TransmitQueue(1), out _);

        Assert.Equal("patience", bed.Hosts[1].OutputText);
    }

    [Fact]
    public void Control_Nonsense_IsTakenAndIgnored()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        Random random = new(7);
        byte[] message = new byte[64];
        for (int i = 0; i < 2000; i++)
        {
            random.NextBytes(message);
            // Mostly near what is valid: small numbers of ports and events.
            if (i % 4 != 0)
                BinaryPrimitives.WriteUInt64LittleEndian(message, (ulong)random.Next(3) << 48 | (ulong)random.Next(10) << 32 | (uint)random.Next(6));
            bed.ControlBytesAsIs(message.AsSpan(0, random.Next(1, 64)));
        }

        // However much was asked for, each port has at most one message of each kind to tell.
        bed.Settle();
        bed.OfferControlBuffers(16);
        bed.Settle();
        int told = 0;
        while (bed.Bed.Drivers[ConsoleBed.ToDriver].TryTakeUsed(out _, out _))
            told++;

        Assert.InRange(told, 1, 14);
        Assert.Empty(bed.Bed.Interrupt.Faults);
        Assert.Null(bed.Bed.LoopFailure);
    }

    [Fact]
    public void Control_BufferTooSmall_GetsWhatFits()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        Assert.True(bed.Bed.Drivers[ConsoleBed.ToDriver].TryAdd([new DriverBuffer(Data, 3, true)], 9));
        bed.Bed.Submit(ConsoleBed.ToDriver);
        bed.Control(BadId, VIRTIO_CONSOLE_DEVICE_READY, 1);

        Assert.Equal(9, bed.Bed.Take(ConsoleBed.ToDriver, out uint written));
        Assert.Equal(3u, written);
    }

    [Fact]
    public void Reset_AfterHandshake_StartsOver()
    {
        using ConsoleBed bed = ConsoleBed.Ports();
        bed.Ready(1, 2);
        for (int i = 0; i < bed.Bed.Drivers.Length; i++)
            bed.Device.StopQueue(i);
        bed.Device.Reset();
        bed.Hosts[1].Raise(CharEvent.Connected);
        bed.Settle();
        Assert.Empty(bed.Bed.Interrupt.Faults);
    }

    [Theory]
    [InlineData(31u, "x")]
    [InlineData(1u, "0123456789012345678901234567890123456789012345678901234567890123x")]
    public void Create_ImpossiblePort_Throws(uint id, string name)
    {
        using var bed = ConsoleBed.Ports();
        var port = new ConsolePortOptions(id, new FakeCharBackend()) { PortName = name };

        Assert.Throws<ArgumentException>(() => new VirtioConsoleDevice(new VirtioConsoleOptions { Name = "x", Multiport = true, Ports = [port] }, bed.Bed.Loop));
    }
}
