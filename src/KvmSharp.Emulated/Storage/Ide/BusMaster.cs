using System.Runtime.InteropServices;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>A channel's bus master registers (Programming Interface for Bus Master IDE Controller 1.0 §2). Under the channel's lock.</summary>
[StructLayout(LayoutKind.Auto)]
internal struct BusMaster
{
    /// <summary>Ports per channel.</summary>
    public const int PortCount = 8;

    private const int CommandPort = 0;
    private const int StatusPort = 2;
    private const int TablePort = 4;

    private const byte Start = 1 << 0;
    private const byte ToMemory = 1 << 3;

    private const byte Active = 1 << 0;
    private const byte Failed = 1 << 1;
    private const byte Interrupted = 1 << 2;
    private const byte DriveBits = 1 << 5 | 1 << 6;

    private byte _command;
    private byte _status;
    private uint _table;

    /// <summary>Where the table of region descriptors is.</summary>
    public readonly uint Table => _table;

    /// <summary>The guest has started it and it has not run yet.</summary>
    public bool IsArmed { get; private set; }

    public readonly bool IsStarted => (_command & Start) != 0;

    /// <summary>What moves goes from the disk to memory.</summary>
    public readonly bool WritesMemory => (_command & ToMemory) != 0;

    public readonly byte Read(int port) => port switch
    {
        CommandPort => _command,
        StatusPort => _status,
        >= TablePort => (byte)(_table >> (8 * (port - TablePort))),
        _ => 0,
    };

    public void Write(int port, byte value)
    {
        switch (port)
        {
            case CommandPort:
                WriteCommand(value);
                break;
            case StatusPort:
                _status = (byte)((_status & Active) | (value & DriveBits) | (_status & ~value & (Failed | Interrupted)));
                break;
            case >= TablePort:
                int shift = 8 * (port - TablePort);
                _table = (_table & ~(0xFFu << shift) | (uint)value << shift) & ~3u;
                break;
        }
    }

    /// <summary>A drive of the channel has raised the interrupt line; all it moved is in memory by then.</summary>
    public void OnInterrupt() => _status |= Interrupted;

    /// <summary>The transfer starts.</summary>
    public void OnRun() => IsArmed = false;

    /// <summary>The transfer is over. The bit stays set where the table had room for more.</summary>
    public void OnEnded(in PrdTransfer table)
    {
        if (!table.IsValid)
            _status |= Failed;
        if (!table.IsValid || table.IsExhausted || !IsStarted)
            _status = (byte)(_status & ~Active);
    }

    /// <summary>The transfer cannot be: it fails as if the bus had refused it.</summary>
    public void Refuse()
    {
        IsArmed = false;
        OnEnded(default);
    }

    private void WriteCommand(byte value)
    {
        bool wasStarted = IsStarted;
        _command = (byte)(value & (Start | ToMemory));
        if (IsStarted && !wasStarted)
        {
            _status |= Active;
            IsArmed = true;
        }
        else if (!IsStarted)
        {
            _status = (byte)(_status & ~Active);
            IsArmed = false;
        }
    }
}
