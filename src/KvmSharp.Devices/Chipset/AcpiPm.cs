using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// ACPI fixed hardware (ACPI 6.5 §4.8.3, §4.8.4) on sixteen ports: PM1 event block at offset 0, PM1 control at 4, PM timer at 8,
/// general purpose event block 0 (16 events) at 12. There is no SMI command port, so SCI_EN always reads as set. Thread-safe.
/// </summary>
public sealed class AcpiPm : IPioDevice, ISharedAccessLock, IDisposable
{
    public const int PortCount = 16;
    public const int EventOffset = 0;
    public const int ControlOffset = 4;
    public const int TimerOffset = 8;
    public const int GpeOffset = 12;

    /// <summary>Bytes of the GPE0 block: two of status, two of enable.</summary>
    public const int GpeLength = 4;

    /// <summary>What the DSDT's \_S5 object must contain, unless the constructor was told otherwise.</summary>
    public const byte DefaultSleepTypeS5 = 5;

    public const uint TimerHz = 3_579_545;

    private const ushort TimerStatus = 1 << 0;
    private const ushort PowerButtonStatus = 1 << 8;
    private const ushort SleepButtonStatus = 1 << 9;
    private const ushort WakeStatus = 1 << 15;
    private const ushort EventMask = TimerStatus | (1 << 5) | PowerButtonStatus | SleepButtonStatus | (1 << 10);
    private const ushort StatusMask = EventMask | (1 << 4) | WakeStatus;
    private const ushort SciEnable = 1 << 0;
    private const ushort SleepEnable = 1 << 13;
    private const int SleepTypeShift = 10;
    private const ushort ControlMask = (1 << 1) | (7 << SleepTypeShift);

    // wiring
    private readonly IIrqLine _sci;
    private readonly IMachineControl _machine;
    private readonly TimeProvider _time;
    private readonly DeviceTimer _timer;

    // configuration
    private readonly byte _sleepTypeS5;
    private readonly int _timerBits;
    private readonly long _start;

    // volatile state
    private AcpiPmState _state;
    private bool _level;

    /// <param name="sci">The system control interrupt, level.</param>
    /// <param name="timer32">32-bit timer (FADT TMR_VAL_EXT); 24-bit otherwise.</param>
    public AcpiPm(IIrqLine sci, IMachineControl machine, byte sleepTypeS5 = DefaultSleepTypeS5, bool timer32 = true, TimeProvider? time = null)
    {
        _sci = sci;
        _machine = machine;
        _sleepTypeS5 = sleepTypeS5;
        _timerBits = timer32 ? 32 : 24;
        _time = time ?? TimeProvider.System;
        _start = _time.GetTimestamp();
        _timer = new DeviceTimer("acpi-pm-timer", OnTimer);
    }

    /// <inheritdoc/>
    public Lock AccessLock { get; } = new();

    private ulong Ticks
    {
        get
        {
            ulong elapsed = (ulong)(_time.GetTimestamp() - _start);
            ulong frequency = (ulong)_time.TimestampFrequency;
            return (elapsed / frequency * TimerHz) + (elapsed % frequency * TimerHz / frequency);
        }
    }

    /// <summary>The user presses the power button. Any thread.</summary>
    /// <returns>False if the guest has not enabled the button: nobody will react.</returns>
    public bool PressPowerButton()
    {
        lock (AccessLock)
        {
            _state.EventStatus |= PowerButtonStatus;
            UpdateSci();
            return (_state.EventEnable & PowerButtonStatus) != 0;
        }
    }

    /// <summary>Raises a general purpose event, 0 to 15. Any thread.</summary>
    public void RaiseGpe(int number)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)number, 15u, nameof(number));
        lock (AccessLock)
        {
            _state.GpeStatus |= (ushort)(1 << number);
            UpdateSci();
        }
    }

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        lock (AccessLock)
        {
            UpdateTimerStatus();
            uint timer = (uint)(Ticks & ((1UL << _timerBits) - 1));
            for (int i = 0; i < data.Length; i++)
            {
                int register = offset + i;
                uint word = register switch
                {
                    < 2 => (uint)_state.EventStatus >> (8 * register),
                    < 4 => (uint)_state.EventEnable >> (8 * (register - 2)),
                    < 6 => (uint)(_state.Control | SciEnable) >> (8 * (register - ControlOffset)),
                    < 8 => 0u,
                    < 12 => timer >> (8 * (register - TimerOffset)),
                    < 14 => (uint)_state.GpeStatus >> (8 * (register - GpeOffset)),
                    _ => (uint)_state.GpeEnable >> (8 * (register - GpeOffset - 2)),
                };
                data[i] = (byte)word;
            }
        }

        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        lock (AccessLock)
        {
            UpdateTimerStatus();
            for (int i = 0; i < data.Length; i++)
                WriteByte(offset + i, data[i]);
            UpdateSci();
            ArmTimer();
        }

        return BusStatus.Ok;
    }

    /// <summary>Back to power-on; the timer runs on. vCPUs are stopped.</summary>
    public void Reset()
    {
        lock (AccessLock)
        {
            _state = new AcpiPmState { TimerToggles = Toggles() };
            UpdateSci();
            _timer.Disarm();
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        lock (AccessLock)
        {
            _state = default;
            UpdateSci();
        }
    }

    private static ushort SetByte(ushort value, int index, byte replacement) =>
        index == 0 ? (ushort)((value & 0xFF00) | replacement) : (ushort)((value & 0x00FF) | (replacement << 8));

    private void WriteByte(int register, byte value)
    {
        switch (register)
        {
            case 0 or 1:
                _state.EventStatus &= (ushort)~(value << (8 * register));
                break;
            case 2 or 3:
                _state.EventEnable = (ushort)(SetByte(_state.EventEnable, register - 2, value) & EventMask);
                break;
            case 4 or 5:
                _state.Control = (ushort)(SetByte(_state.Control, register - 4, value) & ControlMask);
                if (register == 5 && (value & (SleepEnable >> 8)) != 0)
                    Sleep((value >> (SleepTypeShift - 8)) & 7);
                break;
            case 12 or 13:
                _state.GpeStatus &= (ushort)~(value << (8 * (register - 12)));
                break;
            case 14 or 15:
                _state.GpeEnable = SetByte(_state.GpeEnable, register - 14, value);
                break;
            default:
                // Reserved, and the read-only timer.
                break;
        }
    }

    private void Sleep(int type)
    {
        if (type == _sleepTypeS5)
            _machine.Request(MachineRequest.PowerOff);
        else
            // No other state exists: the machine wakes at once instead of leaving the guest waiting for it.
            _state.EventStatus |= WakeStatus;
    }

    private long Toggles() => (long)(Ticks >> (_timerBits - 1));

    private void UpdateTimerStatus()
    {
        long toggles = Toggles();
        if (toggles == _state.TimerToggles)
            return;
        _state.TimerToggles = toggles;
        _state.EventStatus |= TimerStatus;
        UpdateSci();
    }

    // Only a guest that enables the timer interrupt (Linux does not) costs a thread.
    private void ArmTimer()
    {
        if ((_state.EventEnable & TimerStatus) == 0)
        {
            _timer.Disarm();
            return;
        }

        ulong half = 1UL << (_timerBits - 1);
        ulong remaining = half - (Ticks & (half - 1));
        _timer.Arm(TimeSpan.FromSeconds((double)remaining / TimerHz));
    }

    private void OnTimer()
    {
        lock (AccessLock)
        {
            UpdateTimerStatus();
            ArmTimer();
        }
    }

    private void UpdateSci()
    {
        bool level = (_state.EventStatus & _state.EventEnable & StatusMask) != 0 || (_state.GpeStatus & _state.GpeEnable) != 0;
        if (level == _level)
            return;
        _level = level;
        _sci.SetLevel(level);
    }
}
