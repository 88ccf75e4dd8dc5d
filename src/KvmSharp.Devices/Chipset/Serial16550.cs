using KvmSharp.Core.Buses;
using KvmSharp.Core.Chars;
using KvmSharp.Core.Fabric;
using static KvmSharp.Devices.Chipset.SerialRegisters;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// A 16550A UART on eight ports (National Semiconductor PC16550D). Output goes straight to the backend: the line is infinitely fast,
/// so the transmitter is always empty. Registers are used on vCPU threads, input arrives on the backend's thread.
/// </summary>
/// <remarks>
/// The character timeout is approximated by no time at all: bytes below the trigger level are reported as timed out at once,
/// since host input comes in bursts that are already complete. OUT2 does not gate the interrupt.
/// </remarks>
public sealed class Serial16550 : IPioDevice, ICharFrontend, IDisposable
{
    /// <summary>Ports the device takes.</summary>
    public const int PortCount = 8;

    // wiring
    private readonly ICharBackend _output;
    private readonly IIrqLine _interrupt;

    // Guards the state; innermost, so the backend is called without it where it might call back (see NotifyBackend).
    private readonly Lock _sync = new();

    // volatile state
    private SerialState _state = SerialState.PowerOn;
    private bool _level;

    /// <param name="backend">Takes output and gives input; started by this constructor, stays owned by the caller.</param>
    public Serial16550(ICharBackend backend, IIrqLine interrupt)
    {
        _output = backend;
        _interrupt = interrupt;
        backend.Start(this);
    }

    /// <inheritdoc/>
    public int Capacity
    {
        get
        {
            lock (_sync)
            {
                // In loopback the receiver is disconnected from the line.
                int capacity = Loopback ? 0 : ReceiveDepth - _state.ReceiveCount;
                _state.InputStarved |= capacity < SerialState.FifoSize;
                return Math.Max(capacity, 0);
            }
        }
    }

    private bool FifosEnabled => (_state.FifoControl & FcrEnable) != 0;

    private bool Loopback => (_state.ModemControl & McrLoop) != 0;

    private int ReceiveDepth => FifosEnabled ? SerialState.FifoSize : 1;

    /// <inheritdoc/>
    public void Receive(ReadOnlySpan<byte> data)
    {
        lock (_sync)
        {
            foreach (byte value in data)
                Enqueue(value, 0);
            UpdateInterrupt();
        }
    }

    /// <summary>A break condition on the line: a zero byte marked as break. Any thread.</summary>
    public void ReceiveBreak()
    {
        lock (_sync)
        {
            Enqueue(0, LsrBreak);
            UpdateInterrupt();
        }
    }

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        bool roomAgain;
        lock (_sync)
        {
            // Registers are bytes; a wider access is consecutive byte cycles.
            for (int i = 0; i < data.Length; i++)
                data[i] = ReadRegister(offset + i);
            UpdateInterrupt();
            roomAgain = TakeRoomAgain();
        }

        NotifyBackend(roomAgain);
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        bool roomAgain;
        lock (_sync)
        {
            for (int i = 0; i < data.Length; i++)
                WriteRegister(offset + i, data[i]);
            UpdateInterrupt();
            roomAgain = TakeRoomAgain();
        }

        NotifyBackend(roomAgain);
        return BusStatus.Ok;
    }

    /// <summary>Back to power-on, line deasserted. The machine's reset path; vCPUs are stopped.</summary>
    public void Reset()
    {
        lock (_sync)
        {
            bool starved = _state.InputStarved;
            _state = SerialState.PowerOn;
            _state.InputStarved = starved;
            UpdateInterrupt();
        }
    }

    public void Dispose()
    {
        lock (_sync)
        {
            if (_level)
                _interrupt.SetLevel(_level = false);
        }
    }

    private byte ReadRegister(int register)
    {
        bool divisorLatch = (_state.LineControl & LcrDivisorLatch) != 0;
        switch (register)
        {
            case 0:
                return divisorLatch ? (byte)_state.Divisor : Dequeue();
            case 1:
                return divisorLatch ? (byte)(_state.Divisor >> 8) : _state.InterruptEnable;
            case 2:
                byte identification = HighestInterrupt();
                // Reading IIR acknowledges the transmitter interrupt only when it is the one reported.
                if (identification == IirTransmitterEmpty)
                    _state.TransmitterEmptyPending = false;
                return (byte)(identification | (FifosEnabled ? IirFifosEnabled : 0));
            case 3:
                return _state.LineControl;
            case 4:
                return _state.ModemControl;
            case 5:
                byte status = LineStatus();
                _state.LineErrors = 0;
                return status;
            case 6:
                byte modem = (byte)(ModemLines() | _state.ModemDeltas);
                _state.ModemDeltas = 0;
                return modem;
            default:
                return _state.Scratch;
        }
    }

    private void WriteRegister(int register, byte value)
    {
        bool divisorLatch = (_state.LineControl & LcrDivisorLatch) != 0;
        switch (register)
        {
            case 0 when divisorLatch:
                _state.Divisor = (ushort)((_state.Divisor & 0xFF00) | value);
                break;
            case 0:
                Transmit(value);
                break;
            case 1 when divisorLatch:
                _state.Divisor = (ushort)((_state.Divisor & 0x00FF) | (value << 8));
                break;
            case 1:
                // Enabling the transmitter interrupt while THR is empty raises it: Linux's THRE test depends on that.
                if ((value & ~_state.InterruptEnable & IerTransmitterEmpty) != 0)
                    _state.TransmitterEmptyPending = true;
                _state.InterruptEnable = (byte)(value & 0x0F);
                break;
            case 2:
                WriteFifoControl(value);
                break;
            case 3:
                _state.LineControl = value;
                break;
            case 4:
                WriteModemControl(value);
                break;
            case 7:
                _state.Scratch = value;
                break;
            default:
                // LSR and MSR are read-only in normal operation.
                break;
        }
    }

    private void Transmit(byte value)
    {
        if (Loopback)
            Enqueue(value, 0);
        else
            _output.Write(new ReadOnlySpan<byte>(in value));
        _state.TransmitterEmptyPending = true;
    }

    private void WriteFifoControl(byte value)
    {
        bool enable = (value & FcrEnable) != 0;
        if (enable != FifosEnabled || (enable && (value & FcrClearReceive) != 0))
        {
            _state.ReceiveCount = 0;
            _state.ReceiveHead = 0;
        }

        // The other bits of FCR are written only while FIFOs are enabled.
        _state.FifoControl = enable ? (byte)(value & (FcrEnable | FcrTriggerMask)) : (byte)0;
    }

    private void WriteModemControl(byte value)
    {
        byte before = ModemLines();
        _state.ModemControl = (byte)(value & McrMask);
        byte after = ModemLines();
        int changed = before ^ after;
        int deltas = (changed >> 4) & 0x0B;
        // Ring reports its trailing edge only.
        if ((changed & before & MsrRing) != 0)
            deltas |= 0x04;
        _state.ModemDeltas |= (byte)deltas;
    }

    private byte ModemLines()
    {
        if (!Loopback)
            return MsrCarrier | MsrDsr | MsrCts;
        int lines = 0;
        if ((_state.ModemControl & McrRts) != 0)
            lines |= MsrCts;
        if ((_state.ModemControl & McrDtr) != 0)
            lines |= MsrDsr;
        if ((_state.ModemControl & McrOut1) != 0)
            lines |= MsrRing;
        if ((_state.ModemControl & McrOut2) != 0)
            lines |= MsrCarrier;
        return (byte)lines;
    }

    private byte LineStatus()
    {
        int status = LsrTransmitterEmpty | _state.LineErrors;
        if (_state.ReceiveCount > 0)
            status |= LsrDataReady;
        if (FifosEnabled && AnyErrorQueued())
            status |= LsrFifoError;
        return (byte)status;
    }

    private bool AnyErrorQueued()
    {
        for (int i = 0; i < _state.ReceiveCount; i++)
        {
            if (_state.ReceivedErrors[(_state.ReceiveHead + i) % SerialState.FifoSize] != 0)
                return true;
        }

        return false;
    }

    private byte HighestInterrupt()
    {
        byte enabled = _state.InterruptEnable;
        if ((enabled & IerLineStatus) != 0 && (_state.LineErrors & LsrErrors) != 0)
            return IirLineStatus;
        if ((enabled & IerReceived) != 0 && _state.ReceiveCount > 0)
            return _state.ReceiveCount >= TriggerLevel() ? IirReceived : IirTimeout;
        if ((enabled & IerTransmitterEmpty) != 0 && _state.TransmitterEmptyPending)
            return IirTransmitterEmpty;
        if ((enabled & IerModemStatus) != 0 && _state.ModemDeltas != 0)
            return IirModemStatus;
        return IirNone;
    }

    private int TriggerLevel() => FifosEnabled
        ? (_state.FifoControl >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 }
        : 1;

    private void Enqueue(byte value, byte errors)
    {
        if (_state.ReceiveCount >= ReceiveDepth)
        {
            _state.LineErrors |= LsrOverrun;
            // With FIFOs the shift register is lost; without, the new byte overwrites the unread one.
            if (FifosEnabled)
                return;
            _state.ReceiveCount = 0;
        }

        int tail = (_state.ReceiveHead + _state.ReceiveCount) % SerialState.FifoSize;
        _state.Received[tail] = value;
        _state.ReceivedErrors[tail] = errors;
        _state.ReceiveCount++;
        // An error shows in LSR when its byte is the next to be read.
        if (_state.ReceiveCount == 1)
            _state.LineErrors |= errors;
    }

    private byte Dequeue()
    {
        if (_state.ReceiveCount == 0)
            return _state.LastReceived;
        _state.LastReceived = _state.Received[_state.ReceiveHead];
        _state.ReceiveHead = (byte)((_state.ReceiveHead + 1) % SerialState.FifoSize);
        _state.ReceiveCount--;
        if (_state.ReceiveCount > 0)
            _state.LineErrors |= _state.ReceivedErrors[_state.ReceiveHead];
        return _state.LastReceived;
    }

    private void UpdateInterrupt()
    {
        bool level = HighestInterrupt() != IirNone;
        if (level == _level)
            return;
        _level = level;
        _interrupt.SetLevel(level);
    }

    private bool TakeRoomAgain()
    {
        if (!_state.InputStarved || _state.ReceiveCount > 0 || Loopback)
            return false;
        _state.InputStarved = false;
        return true;
    }

    // Outside the state lock: a backend may answer by calling Capacity or Receive under a lock of its own.
    private void NotifyBackend(bool roomAgain)
    {
        if (roomAgain)
            _output.OnFrontendReady();
    }
}
