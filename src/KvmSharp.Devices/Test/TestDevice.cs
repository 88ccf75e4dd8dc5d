using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Devices.Test;

/// <summary>
/// A device for bare test kernels, compatible with the "testdev" that kvm-unit-tests expects: a 32-bit latch seen at ports
/// 0xE0-0xE3 and 0xE8-0xEB, a page-drop port, interrupt lines by port, and MMIO that behaves as memory.
/// </summary>
public sealed class TestDevice : IDisposable
{
    public const ushort LatchPort = 0xE0;
    public const ushort DropPort = 0xE4;
    public const ushort SecondLatchPort = 0xE8;
    public const ushort InterruptPort = 0x2000;
    public const int InterruptCount = 24;
    public const ulong DefaultMmioAddress = 0xFF00_0000;
    public const int MmioLength = 0x1_0000;

    private const int LatchLength = 4;
    private const string Name = "testdev";

    private readonly List<IDisposable> _registrations = [];
    private readonly byte[] _latch = new byte[LatchLength];

    /// <summary>
    /// Registers all ranges. A port of the second latch that already has an owner (a debug console at 0xE9) stays with it.
    /// Throws <see cref="ArgumentException"/> if another range is taken.
    /// </summary>
    /// <param name="dropper">Null: writes to the drop port do nothing.</param>
    public TestDevice(PioBus pio, MmioBus mmio, IInterruptFabric interrupts, IGuestPageDropper? dropper, ulong mmioAddress = DefaultMmioAddress)
    {
        // Both windows and all their ports show one latch, hence one lock.
        var latchLock = new Lock();
        _registrations.Add(pio.Register(LatchPort, LatchLength, new Latch(_latch, 0, latchLock), Name));
        _registrations.Add(pio.Register(DropPort, 4, new PageDrop(dropper), Name));
        RegisterSecondLatch(pio, latchLock);
        var lines = new IIrqLine[InterruptCount];
        for (uint gsi = 0; gsi < InterruptCount; gsi++)
            lines[gsi] = interrupts.GetLine(gsi);
        _registrations.Add(pio.Register(InterruptPort, InterruptCount, new Lines(lines), Name));
        _registrations.Add(mmio.Register(mmioAddress, MmioLength, new Memory(), Name));
    }

    public void Dispose()
    {
        foreach (IDisposable registration in _registrations)
            registration.Dispose();
        _registrations.Clear();
    }

    private void RegisterSecondLatch(PioBus pio, Lock latchLock)
    {
        var whole = new Latch(_latch, 0, latchLock);
        if (pio.TryRegister(SecondLatchPort, LatchLength, whole, Name, out _) is { } registration)
        {
            _registrations.Add(registration);
            return;
        }

        for (int i = 0; i < LatchLength; i++)
        {
            if (pio.TryRegister((ushort)(SecondLatchPort + i), 1, new Latch(_latch, i, latchLock), Name, out _) is { } single)
                _registrations.Add(single);
        }
    }

    private sealed class Latch(byte[] latch, int firstByte, Lock accessLock) : IPioDevice, ISharedAccessLock
    {
        public Lock AccessLock { get; } = accessLock;

        public BusStatus In(ushort offset, Span<byte> data)
        {
            latch.AsSpan(firstByte + offset, data.Length).CopyTo(data);
            return BusStatus.Ok;
        }

        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
        {
            data.CopyTo(latch.AsSpan(firstByte + offset));
            return BusStatus.Ok;
        }
    }

    private sealed class PageDrop(IGuestPageDropper? dropper) : IPioDevice
    {
        public BusStatus In(ushort offset, Span<byte> data)
        {
            data.Clear();
            return BusStatus.Ok;
        }

        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
        {
            if (data.Length != sizeof(uint))
                return BusStatus.BadSize;
            dropper?.Drop(new GuestAddress(BitConverter.ToUInt32(data) & ~((uint)GuestMemory.PageSize - 1)));
            return BusStatus.Ok;
        }
    }

    private sealed class Lines(IIrqLine[] lines) : IPioDevice
    {
        public BusStatus In(ushort offset, Span<byte> data)
        {
            data.Clear();
            return BusStatus.Ok;
        }

        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
        {
            lines[offset].SetLevel(data.ContainsAnyExcept((byte)0));
            return BusStatus.Ok;
        }
    }

    private sealed class Memory : IMmioDevice
    {
        private readonly byte[] _bytes = new byte[MmioLength];

        public BusStatus Read(ulong offset, Span<byte> data)
        {
            _bytes.AsSpan((int)offset, data.Length).CopyTo(data);
            return BusStatus.Ok;
        }

        public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
        {
            data.CopyTo(_bytes.AsSpan((int)offset));
            return BusStatus.Ok;
        }
    }
}
