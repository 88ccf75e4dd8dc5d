using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Events;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Console;
using static KvmSharp.Abi.Virtio.VirtioConsole;

namespace KvmSharp.Virtio.Tests.Devices.Console;

/// <summary>A console device with the host ends of its ports and a driver that speaks for the guest.</summary>
internal sealed class ConsoleBed : IDisposable
{
    public const ulong Multiport = 1UL << VIRTIO_CONSOLE_F_MULTIPORT;
    public const int ToDriver = 2, FromDriver = 3;
    private const int ControlBytes = 256;
    private const ulong ControlArea = VirtioDeviceBed.Data + 0x40_0000;
    private const ulong MessageArea = VirtioDeviceBed.Data + 0x50_0000;

    private int _posted;

    private ConsoleBed(VirtioDeviceBed bed, Dictionary<uint, FakeCharBackend> hosts)
    {
        Bed = bed;
        Hosts = hosts;
        Bed.Start();
    }

    public VirtioDeviceBed Bed { get; }

    public VirtioConsoleDevice Device => (VirtioConsoleDevice)Bed.Device;

    /// <summary>By port number.</summary>
    public Dictionary<uint, FakeCharBackend> Hosts { get; }

    /// <summary>One console, no control queues.</summary>
    public static ConsoleBed Single(ulong features = 0, long maxStallNs = 1_000_000_000, FakeCharBackend? host = null) =>
        Make(features, false, maxStallNs, new ConsolePortOptions(0, host ?? new FakeCharBackend()) { IsConsole = true });

    /// <summary>Ports 1 (plain, named "one") and 3 (a console, no name).</summary>
    public static ConsoleBed Ports(ulong features = Multiport, FakeCharBackend? host = null) => Make(
        features, true, 1_000_000_000,
        new ConsolePortOptions(1, host ?? new FakeCharBackend()) { PortName = "one" }, new ConsolePortOptions(3, new FakeCharBackend()) { IsConsole = true });

    public static int ReceiveQueue(uint port) => port == 0 ? 0 : 2 + 2 * (int)port;

    public static int TransmitQueue(uint port) => ReceiveQueue(port) + 1;

    /// <summary>The driver writes to a port; waits until the device has taken it.</summary>
    public void Write(uint port, string text)
    {
        Post(TransmitQueue(port), VirtioDeviceBed.Data, text);
        Bed.Take(TransmitQueue(port), out _);
    }

    /// <summary>The same, without waiting.</summary>
    public void Post(int queue, ulong address, string text)
    {
        Bed.WriteMemory(address, Encoding.ASCII.GetBytes(text));
        Assert.True(Bed.Drivers[queue].TryAdd([new DriverBuffer(address, (uint)text.Length, false)], 1));
        Bed.Submit(queue);
    }

    /// <summary>The driver offers one buffer.</summary>
    public void Offer(int queue, ulong address, uint length)
    {
        Assert.True(Bed.Drivers[queue].TryAdd([new DriverBuffer(address, length, true)], 1));
        Bed.Submit(queue);
    }

    /// <summary>What came into the buffer at this address.</summary>
    public string TakeInput(int queue, ulong address)
    {
        Bed.Take(queue, out uint written);
        return Encoding.Latin1.GetString(Bed.ReadMemory(address, (int)written));
    }

    /// <summary>The driver sends a control message; waits until the device has taken it.</summary>
    public void Control(uint id, ushort what, ushort value)
    {
        virtio_console_control message = new() { id = id, @event = what, value = value };
        ControlBytesAsIs(MemoryMarshal.AsBytes(new ReadOnlySpan<virtio_console_control>(in message)));
    }

    public void ControlBytesAsIs(ReadOnlySpan<byte> message)
    {
        Bed.WriteMemory(MessageArea, message);
        Assert.True(Bed.Drivers[FromDriver].TryAdd([new DriverBuffer(MessageArea, (uint)message.Length, false)], 1));
        Bed.Submit(FromDriver);
        Bed.Take(FromDriver, out _);
    }

    public void OfferControlBuffers(int count)
    {
        for (int i = 0; i < count; i++, _posted++)
        {
            ulong address = ControlArea + (ulong)(_posted % 256 * ControlBytes);
            Assert.True(Bed.Drivers[ToDriver].TryAdd([new DriverBuffer(address, ControlBytes, true)], _posted % 256));
        }

        Bed.Submit(ToDriver);
    }

    /// <summary>The next message from the device, as "event:port:value:rest".</summary>
    public string TakeControl()
    {
        int cookie = Bed.Take(ToDriver, out uint written);
        byte[] bytes = Bed.ReadMemory(ControlArea + (ulong)(cookie * ControlBytes), (int)written);
        virtio_console_control message = MemoryMarshal.Read<virtio_console_control>(bytes);
        return $"{message.@event}:{message.id}:{message.value}:{Convert.ToHexStringLower(bytes.AsSpan(8))}";
    }

    /// <summary>Goes through the hand-shake for one port as Linux does.</summary>
    public void Ready(uint port, int messages)
    {
        OfferControlBuffers(messages + 2);
        Control(uint.MaxValue, VIRTIO_CONSOLE_DEVICE_READY, 1);
        TakeControl();
        TakeControl();
        Control(port, VIRTIO_CONSOLE_PORT_READY, 1);
        for (int i = 0; i < messages; i++)
            TakeControl();
    }

    /// <summary>
    /// Waits until what was kicked or posted so far is done, and what that posted in turn. An invocation runs among the posts of one round of
    /// the loop, which begins with the descriptors, so the second one comes after every kick before this call.
    /// </summary>
    public void Settle()
    {
        Bed.Loop.Invoke(Nothing.Instance, 0);
        Bed.Loop.Invoke(Nothing.Instance, 0);
        Bed.Loop.Invoke(Nothing.Instance, 0);
    }

    public void Dispose()
    {
        Bed.Dispose();
        Assert.All(Hosts.Values, h => Assert.True(h.IsDisposed));
    }

    private static ConsoleBed Make(ulong features, bool multiport, long maxStallNs, params ConsolePortOptions[] ports)
    {
        var options = new VirtioConsoleOptions { Name = "test", Multiport = multiport, Ports = ports, MaxStallNs = maxStallNs };
        var bed = new VirtioDeviceBed(loop => new VirtioConsoleDevice(options, loop), features | 1UL << VIRTIO_CONSOLE_F_SIZE);
        return new ConsoleBed(bed, ports.ToDictionary(p => p.Id, p => (FakeCharBackend)p.Backend));
    }

    private sealed class Nothing : IEventSink
    {
        public static readonly Nothing Instance = new();

        public void OnReady(uint cookie, uint epollEvents)
        {
        }
    }
}
