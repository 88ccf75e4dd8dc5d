using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// An 8042 keyboard controller with nothing plugged in (IBM PS/2 Technical Reference, "Keyboard/Auxiliary Device Controller"):
/// self test, command byte, output port, reset pulse. Every command is answered at once, so that a probe never waits.
/// Ports 0x60 (offset 0) and 0x64 (offset 4): <see cref="DataPort"/> and <see cref="CommandPort"/> are registered apart.
/// </summary>
public sealed class I8042
{
    public const ushort DataPortNumber = 0x60;
    public const ushort CommandPortNumber = 0x64;

    private const byte StatusOutputFull = 0x01;
    private const byte StatusCommand = 0x08;
    private const byte StatusUnlocked = 0x10;
    private const byte StatusTimeout = 0x40;

    private const byte ControlInterrupt = 0x01;
    private const byte ControlSystem = 0x04;
    private const byte ControlKeyboardDisabled = 0x10;
    private const byte ControlAuxDisabled = 0x20;
    private const byte ControlTranslate = 0x40;

    private const byte OutputReset = 0x01;
    private const byte OutputA20 = 0x02;

    // wiring
    private readonly IMachineControl _machine;
    private readonly IIrqLine? _interrupt;
    private readonly Lock _sync = new();

    // volatile state
    private State _state = State.PowerOn;
    private bool _level;

    /// <param name="interrupt">IRQ 1; null leaves it unconnected.</param>
    public I8042(IMachineControl machine, IIrqLine? interrupt = null)
    {
        _machine = machine;
        _interrupt = interrupt;
        DataPort = new Port(this, isCommand: false);
        CommandPort = new Port(this, isCommand: true);
    }

    /// <summary>Port 0x60, one byte.</summary>
    public IPioDevice DataPort { get; }

    /// <summary>Port 0x64, one byte.</summary>
    public IPioDevice CommandPort { get; }

    /// <summary>Back to power-on. vCPUs are stopped.</summary>
    public void Reset()
    {
        lock (_sync)
        {
            _state = State.PowerOn;
            UpdateInterrupt();
        }
    }

    private byte Read(bool status)
    {
        lock (_sync)
        {
            if (status)
                return (byte)(StatusUnlocked | (_state.Control & ControlSystem) | _state.Status);
            byte value = _state.Output;
            _state.Status &= unchecked((byte)~(StatusOutputFull | StatusTimeout));
            UpdateInterrupt();
            return value;
        }
    }

    private void Write(bool command, byte value)
    {
        lock (_sync)
        {
            if (command)
            {
                _state.Status |= StatusCommand;
                _state.Expects = 0;
                Command(value);
            }
            else
            {
                _state.Status &= unchecked((byte)~StatusCommand);
                byte expecting = _state.Expects;
                _state.Expects = 0;
                Data(expecting, value);
            }

            UpdateInterrupt();
        }
    }

    private void Command(byte command)
    {
        switch (command)
        {
            case >= 0x20 and <= 0x3F:
                Respond(command == 0x20 ? _state.Control : (byte)0);
                break;
            case 0x60 or 0xD1 or 0xD2 or 0xD3 or 0xD4:
                _state.Expects = command;
                break;
            case 0xA7:
                _state.Control |= ControlAuxDisabled;
                break;
            case 0xA8:
                _state.Control &= unchecked((byte)~ControlAuxDisabled);
                break;
            case 0xA9:
                // Auxiliary clock line stuck low: there is no second port.
                Respond(0x01);
                break;
            case 0xAA:
                _state.Control |= ControlSystem;
                Respond(0x55);
                break;
            case 0xAB:
                Respond(0x00);
                break;
            case 0xAD:
                _state.Control |= ControlKeyboardDisabled;
                break;
            case 0xAE:
                _state.Control &= unchecked((byte)~ControlKeyboardDisabled);
                break;
            case 0xC0:
                Respond(0xBF);
                break;
            case 0xD0:
                Respond(_state.OutputPort);
                break;
            case >= 0xF0 when (command & OutputReset) == 0:
                // Commands 0xF0-0xFF pulse the output port bits that are clear; bit 0 is the processor's reset.
                _machine.Request(MachineRequest.Reset);
                break;
            default:
                break;
        }
    }

    private void Data(byte expecting, byte value)
    {
        switch (expecting)
        {
            case 0x60:
                _state.Control = value;
                break;
            case 0xD1:
                _state.OutputPort = value;
                if ((value & OutputReset) == 0)
                    _machine.Request(MachineRequest.Reset);
                break;
            case 0xD2 or 0xD3:
                // Loop-back. 0xD3 should come back marked as auxiliary data; unmarked is how a driver learns that there is no such port.
                Respond(value);
                break;
            default:
                // For the keyboard or the auxiliary device, which are not there: the controller reports a timeout, "resend".
                Respond(0xFE);
                _state.Status |= StatusTimeout;
                break;
        }
    }

    private void Respond(byte value)
    {
        _state.Output = value;
        _state.Status = (byte)((_state.Status & ~StatusTimeout) | StatusOutputFull);
    }

    private void UpdateInterrupt()
    {
        bool level = (_state.Status & StatusOutputFull) != 0 && (_state.Control & ControlInterrupt) != 0;
        if (level == _level)
            return;
        _level = level;
        _interrupt?.SetLevel(level);
    }

    private struct State
    {
        internal byte Control;
        internal byte Status;
        internal byte Output;
        internal byte OutputPort;

        /// <summary>The command whose data byte comes next; 0: none.</summary>
        internal byte Expects;

        internal static State PowerOn => new() { Control = ControlSystem | ControlTranslate, OutputPort = OutputReset | OutputA20 | 0xCC };
    }

    private sealed class Port(I8042 owner, bool isCommand) : IPioDevice
    {
        public BusStatus In(ushort offset, Span<byte> data)
        {
            if (data.Length != 1)
                return BusStatus.BadSize;
            data[0] = owner.Read(isCommand);
            return BusStatus.Ok;
        }

        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
        {
            if (data.Length != 1)
                return BusStatus.BadSize;
            owner.Write(isCommand, data[0]);
            return BusStatus.Ok;
        }
    }
}
