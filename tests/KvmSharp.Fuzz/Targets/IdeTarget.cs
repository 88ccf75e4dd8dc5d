using System.Diagnostics;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Storage.Ide;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Fuzz.Targets;

/// <summary>Both channels of the IDE controller with three disks: task files, data ports, bus master registers and hostile region tables.</summary>
internal sealed class IdeTarget : IFuzzTarget
{
    private const ushort Primary = 0x1F0, Secondary = 0x170, ControlOffset = 0x206;
    private const int DiskBytes = 0x2_0000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);
    private static readonly byte[] s_commands =
    [
        0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x42, 0x70, 0x90, 0x91, 0xA0, 0xA1, 0xB0, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE0, 0xE1,
        0xE5, 0xE7, 0xEA, 0xEC, 0xEF, 0xF5, 0xF8, 0x27, 0x37,
    ];

    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly PioBus _pio = new();
    private readonly FakeInterruptFabric _interrupts = new();
    private readonly FuzzLoop _loop = new();
    private readonly PciRoot _root;
    private readonly IdeController _controller;
    private readonly ushort _busMaster;

    internal IdeTarget()
    {
        IdeDiskOptions[] disks = [.. Enumerable.Range(0, 3).Select(i => new IdeDiskOptions { Backend = new MemoryBlockBackend(DiskBytes), Loop = _loop.Loop, Serial = $"SN{i}" })];
        _controller = new IdeController(disks, _memory, _interrupts.GetLine(14), _interrupts.GetLine(15));
        _root = new PciRoot(_pio, new MmioBus(), new PciWindows { Memory32Start = 0xC000_0000, Memory32Length = 0x1000_0000, IoStart = 0x1000, IoLength = 0x1000 },
            new PciInterruptRouter(_interrupts, 16));
        _root.Attach(new Bdf(0, 1), IdeController.CreateIsaBridge());
        _root.Attach(new Bdf(0, 1, IdeController.FunctionNumber), _controller.Function);
        _controller.Function.WriteConfig(PciRegisters.Command, [PciRegisters.CommandIo | PciRegisters.CommandBusMaster, 0]);
        _busMaster = (ushort)_controller.Function.Bars[0].Address!.Value;
        for (int channel = 0; channel < IdeController.ChannelCount; channel++)
        {
            ushort start = channel == 0 ? Primary : Secondary;
            _pio.Register(start, IdeController.CommandPortCount, _controller.CommandPorts(channel), "ide");
            _pio.Register((ushort)(start + ControlOffset), 1, _controller.ControlPort(channel), "ide");
        }
    }

    public void Run(FuzzScript script)
    {
        try
        {
            while (!script.AtEnd)
                Do(script);
        }
        finally
        {
            Reset();
        }
    }

    public void Probe()
    {
        // READ SECTORS of one sector at LBA 0, through the data port.
        Out(Primary + 6, 0xE0);
        Out(Primary + 2, 1);
        Out(Primary + 3, 0);
        Out(Primary + 4, 0);
        Out(Primary + 5, 0);
        Out(Primary + 7, 0x20);
        byte status = WaitNotBusy(Primary);
        FuzzFailure.Unless((status & 0x09) == 0x08, $"a read after a reset ends with status 0x{status:x}");
        Span<byte> data = stackalloc byte[4];
        for (int i = 0; i < 128; i++)
            _pio.In(Primary, data);
        FuzzFailure.Unless((In(Primary + 7) & 0x08) == 0, "a sector does not end");
    }

    public void Dispose()
    {
        _root.Dispose();
        _controller.Dispose();
        _loop.Dispose();
        _memory.Dispose();
    }

    private void Do(FuzzScript script)
    {
        byte op = script.U8();
        ushort channel = (op & 0x80) != 0 ? Secondary : Primary;
        ushort master = (ushort)(_busMaster + ((op & 0x80) != 0 ? 8 : 0));
        Span<byte> data = stackalloc byte[4];
        switch (op & 15)
        {
            case < 2:
                Out(channel + (op >> 4 & 7), script.U8());
                break;
            case 2:
                Out(channel + 6, (byte)(0xA0 | (op & 0x50)));
                Out(channel + 7, s_commands[script.Below(s_commands.Length)]);
                break;
            case 3:
                Command(script, channel, op);
                break;
            case 4:
                script.Observe((uint)(channel + (op >> 4 & 7)), In(channel + (op >> 4 & 7)));
                break;
            case 5:
                for (int i = script.U8(); i > 0; i--)
                    _pio.In(channel, data[..(1 << (op >> 4 & 7) % 3)]);
                break;
            case 6:
                script.Fill(data);
                for (int i = script.U8(); i > 0; i--)
                    _pio.Out(channel, data[..(1 << (op >> 4 & 7) % 3)]);
                break;
            case 7:
                Out(channel + ControlOffset, script.U8());
                break;
            case 8:
                _loop.Settle();
                script.Observe(1, In(channel + ControlOffset));
                break;
            case 9:
                script.Fill(data);
                _pio.Out((ushort)(master + (op >> 4 & 7)), data[..(1 << script.Below(3))]);
                break;
            case 10:
                _pio.In((ushort)(master + (op >> 4 & 7)), data);
                script.Observe(2, data[0]);
                break;
            case 11:
                Table(script, master);
                break;
            case 12:
                Out(master, (byte)((op & 0x10) != 0 ? 0x09 : 0x01));
                break;
            case 13:
                _controller.Function.WriteConfig((op & 0x10) != 0 ? PciRegisters.Command : 0x40 + script.U8() % 8, [script.U8()]);
                break;
            default:
                _memory.TryWrite(new GuestAddress(FuzzGuest.Rings + script.U8() * 4u), (uint)script.Number());
                break;
        }
    }

    private void Command(FuzzScript script, ushort channel, byte op)
    {
        Out(channel + 6, (byte)(0xE0 | (op & 0x10)));
        bool wide = (op & 0x20) != 0;
        for (int register = 1; register < 6; register++)
        {
            if (wide)
                Out(channel + register, (byte)script.Number());
            Out(channel + register, (byte)(register == 5 ? 0 : script.Number()));
        }

        Out(channel + 7, s_commands[script.Below(s_commands.Length)]);
    }

    /// <summary>Regions of the physical region descriptor table: address, byte count, end mark.</summary>
    private void Table(FuzzScript script, ushort master)
    {
        byte shape = script.U8();
        int count = 1 + (shape & 7);
        for (int i = 0; i < count; i++)
        {
            uint address = (shape & 0x18) == 0x18 ? (uint)script.Number() : (uint)FuzzGuest.Data + script.U16() * 2u;
            uint length = (shape & 0x60) == 0x60 ? (uint)script.Number() : (uint)script.U8() * 64;
            _memory.TryWrite(new GuestAddress(FuzzGuest.Rings + 8u * (uint)i), address);
            _memory.TryWrite(new GuestAddress(FuzzGuest.Rings + 8u * (uint)i + 4), length | (i == count - 1 && (shape & 0x80) == 0 ? 0x8000_0000 : 0));
        }

        uint table = (shape & 0xF8) == 0xF8 ? (uint)script.Number() : (uint)FuzzGuest.Rings;
        Span<byte> data = stackalloc byte[4];
        BitConverter.TryWriteBytes(data, table);
        _pio.Out((ushort)(master + 4), data);
    }

    private void Reset()
    {
        // What firmware leaves: decoding on in both timing registers.
        _controller.Function.WriteConfig(PciRegisters.Command, [PciRegisters.CommandIo | PciRegisters.CommandBusMaster, 0]);
        _controller.Function.WriteConfig(0x40, [0, 0x80, 0, 0x80]);
        foreach (ushort channel in (ReadOnlySpan<ushort>)[Primary, Secondary])
        {
            Out(channel + ControlOffset, 0x04);
            Out(channel + ControlOffset, 0x00);
            byte status = WaitNotBusy(channel);
            FuzzFailure.Unless((status & 0x81) == 0, $"a channel has status 0x{status:x} after a reset");
        }
    }

    private byte WaitNotBusy(ushort channel)
    {
        long start = Stopwatch.GetTimestamp();
        byte status;
        while (((status = In(channel + ControlOffset)) & 0x80) != 0)
        {
            _loop.Settle();
            FuzzFailure.Unless(Stopwatch.GetElapsedTime(start) < s_patience, "a drive stays busy");
        }

        return status;
    }

    private byte In(int port)
    {
        byte value = 0;
        _pio.In((ushort)port, new Span<byte>(ref value));
        return value;
    }

    private void Out(int port, byte value) => _pio.Out((ushort)port, [value]);
}
