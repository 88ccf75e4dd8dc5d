using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Net.E1000;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Net;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Tests.Net.E1000;

/// <summary>An e1000 on a PCI bus with fake ends, and the driver's side of both rings.</summary>
internal sealed class E1000Bed : IDisposable
{
    internal const ulong TransmitRing = 0x1_0000, ReceiveRing = 0x2_0000, Buffers = 0x10_0000, MemoryBytes = 0x100_0000;
    internal const uint RingCount = 16, BufferLength = 2048;
    internal const int HeaderLength = 12;

    private const ushort CommandMemoryAndMaster = PciRegisters.CommandIo | PciRegisters.CommandMemory | PciRegisters.CommandBusMaster;

    private readonly PciRoot _root;
    private uint _transmitTail;

    internal E1000Bed(INetBackend? backend = null, long pollMaxNs = 0)
    {
        Backend = backend as FakeNetBackend ?? new FakeNetBackend();
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
        Loop = new EventLoop(new EventLoopOptions { Name = "test-io", PollMaxNs = pollMaxNs, OnFailure = e => LoopFailure = e });
        Loop.Start();
        Device = new E1000Device(new E1000Options { Mac = Mac, LinkCheckNs = 0 }, backend ?? Backend, Memory, Loop);
        var windows = new PciWindows { Memory32Start = 0xC000_0000, Memory32Length = 0x1000_0000, IoStart = 0x1000, IoLength = 0x1000 };
        _root = new PciRoot(Pio, Mmio, windows, new PciInterruptRouter(Interrupts, 16));
        _root.Attach(new Bdf(0, 1), Device.Function);
        Command(CommandMemoryAndMaster);
    }

    internal static MacAddress Mac { get; } = new(0x5254_0012_3456);

    internal FakeNetBackend Backend { get; }

    internal GuestMemory Memory { get; }

    internal EventLoop Loop { get; }

    internal Exception? LoopFailure { get; private set; }

    internal E1000Device Device { get; }

    internal PioBus Pio { get; } = new();

    internal MmioBus Mmio { get; } = new();

    internal FakeInterruptFabric Interrupts { get; } = new();

    /// <summary>INTA# of device 1 reaches the second line.</summary>
    internal FakeIrqLine Line => Interrupts.Line(17);

    internal uint this[uint register]
    {
        get
        {
            byte[] data = new byte[4];
            Mmio.Read(Device.Function.FindBar(0)!.Address!.Value + register, data);
            return BinaryPrimitives.ReadUInt32LittleEndian(data);
        }

        set => Mmio.Write(Device.Function.FindBar(0)!.Address!.Value + register, BitConverter.GetBytes(value));
    }

    public void Dispose()
    {
        _root.Dispose();
        Device.Dispose();
        Loop.Dispose();
        Memory.Dispose();
        Assert.Null(LoopFailure);
    }

    internal void Command(ushort value) => Device.Function.WriteConfig(PciRegisters.Command, BitConverter.GetBytes(value));

    internal void StartTransmit(ulong ring = TransmitRing, uint bytes = RingCount * 16)
    {
        this[TDBAL] = (uint)ring;
        this[TDBAH] = (uint)(ring >> 32);
        this[TDLEN] = bytes;
        this[TDH] = 0;
        this[TDT] = 0;
        this[TCTL] = TCTL_EN;
    }

    /// <summary>All buffers but one, which keeps head and tail apart, are the device's.</summary>
    internal void StartReceive(uint control = RCTL_BAM, ulong ring = ReceiveRing, uint bytes = RingCount * 16)
    {
        for (uint i = 0; i < RingCount; i++)
        {
            Memory.TryWrite(new GuestAddress(ReceiveRing + (16 * i)), Buffer(i));
            Memory.TryWrite(new GuestAddress(ReceiveRing + (16 * i) + 8), 0ul);
        }

        this[RDBAL] = (uint)ring;
        this[RDBAH] = (uint)(ring >> 32);
        this[RDLEN] = bytes;
        this[RDH] = 0;
        this[RDT] = RingCount - 1;
        this[RCTL] = RCTL_EN | control;
    }

    internal static ulong Buffer(uint index) => Buffers + (index * BufferLength);

    /// <summary>Puts descriptors into the ring without telling the device.</summary>
    internal void Queue(params ReadOnlySpan<(ulong Address, ulong Control)> descriptors)
    {
        foreach ((ulong address, ulong control) in descriptors)
        {
            Memory.TryWrite(new GuestAddress(TransmitRing + (16 * _transmitTail)), address);
            Memory.TryWrite(new GuestAddress(TransmitRing + (16 * _transmitTail) + 8), control);
            _transmitTail = (_transmitTail + 1) % RingCount;
        }
    }

    internal void Transmit(params ReadOnlySpan<(ulong Address, ulong Control)> descriptors)
    {
        Queue(descriptors);
        this[TDT] = _transmitTail;
    }

    /// <summary>The next packet that the device sent, with header. Fails after five seconds.</summary>
    internal byte[] TakeSent()
    {
        Assert.True(Backend[0].Sent.TryTake(out byte[]? packet, 5000), "nothing was sent");
        return packet;
    }

    /// <summary>What the loop had to do before this call is done.</summary>
    internal void Settle() => Loop.Invoke(new Nothing(), 0);

    internal void WaitFor(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, 5000), "did not happen");

    /// <summary>A frame arrives from the host.</summary>
    internal void Arrive(byte[] frame, byte flags = 0, ushort sumStart = 0, ushort sumOffset = 0)
    {
        byte[] packet = new byte[HeaderLength + frame.Length];
        packet[0] = flags;
        BinaryPrimitives.WriteUInt16LittleEndian(packet.AsSpan(6), sumStart);
        BinaryPrimitives.WriteUInt16LittleEndian(packet.AsSpan(8), sumOffset);
        frame.CopyTo(packet, HeaderLength);
        Backend[0].Arrive(packet);
    }

    /// <summary>The second quadword of a receive descriptor, once it is done. Fails after five seconds.</summary>
    internal ulong TakeReceived(uint index)
    {
        ulong control = 0;
        WaitFor(() => Memory.TryRead(new GuestAddress(ReceiveRing + (16 * index) + 8), out control) && (control >> 32 & 1) != 0);
        return control;
    }

    internal ulong TransmitStatus(uint index)
    {
        Memory.TryRead(new GuestAddress(TransmitRing + (16 * index) + 8), out ulong control);
        return control >> 32 & 0xF;
    }

    internal byte[] Read(ulong address, int length)
    {
        byte[] data = new byte[length];
        Assert.True(Memory.TryRead(new GuestAddress(address), data));
        return data;
    }

    internal void Write(ulong address, ReadOnlySpan<byte> data) => Assert.True(Memory.TryWrite(new GuestAddress(address), data));

    /// <summary>A frame of that length to that address, its other bytes counting up.</summary>
    internal static byte[] Frame(int length, ulong destination, ushort type = 0x88B5)
    {
        byte[] frame = new byte[length];
        for (int i = 0; i < length; i++)
            frame[i] = (byte)i;
        new MacAddress(destination).CopyTo(frame);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), type);
        return frame;
    }

    private sealed class Nothing : IEventSink
    {
        public void OnReady(uint cookie, uint epollEvents)
        {
        }
    }
}
