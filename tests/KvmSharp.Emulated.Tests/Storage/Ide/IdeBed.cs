using System.Buffers.Binary;
using System.Diagnostics;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Storage.Ide;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Emulated.Tests.Storage.Ide;

/// <summary>A controller with disks in memory, driven through its ports as a guest does.</summary>
internal sealed class IdeBed : IDisposable
{
    internal const int DiskBytes = 1 << 20;
    internal const ulong MemoryBytes = 4 << 20;

    /// <summary>Where tests put region descriptors, and the data they describe.</summary>
    internal const uint Table = 0x1_0000, Data = 0x2_0000;

    internal const byte Master = 0xE0, Slave = 0xF0;
    internal const byte Idle = 0x50, WantsData = 0x58, Failed = 0x51;
    internal const byte Aborted = 0x04, IdNotFound = 0x10, Uncorrectable = 0x40;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);
    private readonly EventLoop _loop;

    /// <param name="plain">Without <see cref="Faults"/> in between, which allocate.</param>
    internal IdeBed(int disks = 1, BlockLimits? limits = null, bool plain = false)
    {
        _loop = new EventLoop(new EventLoopOptions { Name = "ide-test", OnFailure = e => LoopFailure = e });
        _loop.Start();
        Disks = [.. Enumerable.Range(0, disks).Select(i => NewDisk(i, limits))];
        Faults = [.. Disks.Select(disk => new FaultyBlockBackend(disk))];
        Controller = new IdeController(
            [.. Disks.Select((disk, i) => new IdeDiskOptions { Backend = plain ? disk : Faults[i], Loop = _loop, Serial = $"SN{i}" })], Memory, Primary, Secondary);
        Controller.Function.WriteConfig(PciRegisters.Command, [PciRegisters.CommandIo | PciRegisters.CommandBusMaster, 0]);
    }

    internal GuestMemory Memory { get; } = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });

    internal FakeIrqLine Primary { get; } = new(14);

    internal FakeIrqLine Secondary { get; } = new(15);

    internal MemoryBlockBackend[] Disks { get; }

    internal FaultyBlockBackend[] Faults { get; }

    internal IdeController Controller { get; }

    internal EventLoop Loop => _loop;

    internal Exception? LoopFailure { get; private set; }

    public void Dispose()
    {
        Controller.Dispose();
        _loop.Dispose();
        Memory.Dispose();
        Assert.Null(LoopFailure);
    }

    internal byte In(int register, int channel = 0)
    {
        Span<byte> data = stackalloc byte[1];
        Check(Controller.CommandPorts(channel).In((ushort)register, data));
        return data[0];
    }

    internal void Out(int register, int value, int channel = 0) =>
        Check(Controller.CommandPorts(channel).Out((ushort)register, [(byte)value]));

    internal byte AlternateStatus(int channel = 0)
    {
        Span<byte> data = stackalloc byte[1];
        Check(Controller.ControlPort(channel).In(0, data));
        return data[0];
    }

    internal void Control(int value, int channel = 0) => Check(Controller.ControlPort(channel).Out(0, [(byte)value]));

    /// <summary>Writes a 28-bit command and its parameters.</summary>
    internal void Command(int command, uint lba = 0, int count = 1, byte device = Master, int features = 0, int channel = 0)
    {
        Out(IdeRegister.Device, device | (int)(lba >> 24 & 0xF), channel);
        Out(IdeRegister.Features, features, channel);
        Out(IdeRegister.Count, count, channel);
        Out(IdeRegister.LbaLow, (int)lba, channel);
        Out(IdeRegister.LbaMid, (int)(lba >> 8), channel);
        Out(IdeRegister.LbaHigh, (int)(lba >> 16), channel);
        Out(IdeRegister.Command, command, channel);
    }

    /// <summary>Writes a 48-bit command and its parameters.</summary>
    internal void CommandExt(int command, ulong lba, int count, byte device = Master)
    {
        Out(IdeRegister.Device, device);
        Out(IdeRegister.Count, count >> 8);
        Out(IdeRegister.LbaLow, (int)(lba >> 24));
        Out(IdeRegister.LbaMid, (int)(lba >> 32));
        Out(IdeRegister.LbaHigh, (int)(lba >> 40));
        Out(IdeRegister.Count, count);
        Out(IdeRegister.LbaLow, (int)lba);
        Out(IdeRegister.LbaMid, (int)(lba >> 8));
        Out(IdeRegister.LbaHigh, (int)(lba >> 16));
        Out(IdeRegister.Command, command);
    }

    /// <summary>Waits for the interrupt, then reads the status register.</summary>
    internal byte WaitInterrupt(int channel = 0)
    {
        FakeIrqLine line = channel == 0 ? Primary : Secondary;
        Wait(() => line.Level);
        return In(IdeRegister.Status, channel);
    }

    /// <summary>Waits until the selected drive is not busy; its status.</summary>
    internal byte WaitNotBusy(int channel = 0)
    {
        Wait(() => (AlternateStatus(channel) & 0x80) == 0);
        return AlternateStatus(channel);
    }

    internal static void Wait(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < s_limit, "it never happened");
            Thread.Yield();
        }
    }

    /// <summary>Reads the data port in words.</summary>
    internal byte[] ReadData(int length, int channel = 0)
    {
        byte[] data = new byte[length];
        for (int i = 0; i < length; i += 2)
            Check(Controller.CommandPorts(channel).In(IdeRegister.Data, data.AsSpan(i, 2)));
        return data;
    }

    /// <summary>Writes the data port in double words.</summary>
    internal void WriteData(ReadOnlySpan<byte> data)
    {
        for (int i = 0; i < data.Length; i += 4)
            Check(Controller.CommandPorts(0).Out(IdeRegister.Data, data.Slice(i, 4)));
    }

    internal byte BusMasterStatus(int channel = 0)
    {
        Span<byte> data = stackalloc byte[1];
        Check(Controller.In((ushort)(8 * channel + 2), data));
        return data[0];
    }

    internal void SetTable(uint address, int channel = 0)
    {
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, address);
        Check(Controller.Out((ushort)(8 * channel + 4), data));
    }

    internal void BusMasterCommand(int value, int channel = 0) => Check(Controller.Out((ushort)(8 * channel), [(byte)value]));

    /// <summary>Writes region descriptors at <see cref="Table"/>, the last one marked, and points the bus master at them.</summary>
    internal void Regions(params (uint Address, uint Count)[] regions)
    {
        for (int i = 0; i < regions.Length; i++)
            Region(i, regions[i].Address, regions[i].Count | (i == regions.Length - 1 ? 0x8000_0000 : 0));
        SetTable(Table);
    }

    internal void Region(int index, uint address, uint count)
    {
        Assert.True(Memory.TryWrite(new GuestAddress(Table + 8 * (ulong)index), address));
        Assert.True(Memory.TryWrite(new GuestAddress(Table + 8 * (ulong)index + 4), count));
    }

    internal Span<byte> Ram(uint address, int length)
    {
        Assert.True(Memory.TryGetSpan(new GuestAddress(address), length, out Span<byte> span));
        return span;
    }

    /// <summary>Unlike an assertion, without allocating.</summary>
    private static void Check(BusStatus status)
    {
        if (status != BusStatus.Ok)
            Assert.Fail($"the access came to {status}");
    }

    private static MemoryBlockBackend NewDisk(int number, BlockLimits? limits)
    {
        MemoryBlockBackend disk = limits is null ? new(DiskBytes) : new(DiskBytes) { Limits = limits };
        new Random(number).NextBytes(disk.Data);
        return disk;
    }
}
