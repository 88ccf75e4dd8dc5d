using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>
/// An ATA disk (ATA/ATAPI-7 volumes 1 and 2): its registers and what it does with a command. Everything is called under the lock of its
/// channel, but construction, <see cref="Drain"/> and disposal.
/// </summary>
internal sealed partial class IdeDrive : IDriveIoOwner, IDisposable
{
    public const int SectorBytes = 512;

    /// <summary>Most sectors of a block of READ and WRITE MULTIPLE.</summary>
    public const int MaxMultiple = 16;

    // wiring
    private readonly IIdeBus _bus;
    private readonly IBlockBackend _backend;
    private readonly DriveIo _io;

    // configuration
    private readonly string _serial;
    private readonly bool _second;
    private readonly ulong _sectorCount;

    // volatile state
    private TaskFile _registers = TaskFile.Signature;
    private AtaStatus _status = AtaStatus.Idle;
    private AtaError _error = AtaError.DiagnosticsPassed;
    private DriveSettings _settings;
    private TransferCommand _transfer;
    private ulong _nextSector;
    private uint _sectorsLeft;
    private int _bufferPosition;
    private int _bufferLength;
    private bool _inReset;

    /// <summary>Throws <see cref="ArgumentException"/> for logical blocks of another size than a sector and for a serial number that cannot be, and what opening the disk for I/O throws.</summary>
    public IdeDrive(IdeDiskOptions options, GuestMemory memory, IIdeBus bus, bool second)
    {
        if (options.Backend.Limits.LogicalBlockSize != SectorBytes)
            throw new ArgumentException($"an IDE disk has blocks of {SectorBytes} bytes", nameof(options));
        if (options.Serial.Length > IdeDiskOptions.MaxSerialLength || options.Serial.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ArgumentException("not a serial number of ATA", nameof(options));
        _bus = bus;
        _backend = options.Backend;
        _serial = options.Serial;
        _second = second;
        _sectorCount = _backend.CapacityBytes / SectorBytes;
        _settings = DriveSettings.PowerOn(_backend.Limits.WriteCache);
        _io = new DriveIo(_backend, memory, options.Loop, this);
    }

    public IdeDrivePhase Phase { get; private set; }

    /// <summary>The drive wants to interrupt, if it is selected.</summary>
    public bool InterruptPending { get; private set; }

    public AtaStatus Status => _status;

    /// <summary>True: the registers are the drive's, not the guest's.</summary>
    public bool IsBusy => (_status & (AtaStatus.Busy | AtaStatus.DataRequest)) != 0;

    /// <summary>From SRST on, until commands are taken again.</summary>
    public bool IsResetting => _status == AtaStatus.Busy;

    /// <summary>The direction of the transfer that waits for the bus master: into guest memory.</summary>
    public bool DmaReadsDisk => _transfer.Operation == BlockOperation.Read;

    /// <summary>The status register; reading it takes the interrupt back (§7.15.4).</summary>
    public AtaStatus ReadStatus()
    {
        SetInterrupt(false);
        return _status;
    }

    /// <summary>A read of registers 1 to 6.</summary>
    public byte Read(int register, bool previous) => register switch
    {
        IdeRegister.Error => (byte)_error,
        IdeRegister.Count => TaskFile.Peek(_registers.Count, previous),
        IdeRegister.LbaLow => TaskFile.Peek(_registers.LbaLow, previous),
        IdeRegister.LbaMid => TaskFile.Peek(_registers.LbaMid, previous),
        IdeRegister.LbaHigh => TaskFile.Peek(_registers.LbaHigh, previous),
        _ => (byte)(_registers.Device | TaskFile.DeviceObsolete),
    };

    /// <summary>A write of registers 1 to 6, to whichever drive is selected. Not while a drive is busy.</summary>
    public void Write(int register, byte value)
    {
        switch (register)
        {
            case IdeRegister.Features:
                TaskFile.Push(ref _registers.Features, value);
                break;
            case IdeRegister.Count:
                TaskFile.Push(ref _registers.Count, value);
                break;
            case IdeRegister.LbaLow:
                TaskFile.Push(ref _registers.LbaLow, value);
                break;
            case IdeRegister.LbaMid:
                TaskFile.Push(ref _registers.LbaMid, value);
                break;
            case IdeRegister.LbaHigh:
                TaskFile.Push(ref _registers.LbaHigh, value);
                break;
            default:
                _registers.Device = value;
                break;
        }
    }

    /// <summary>The guest reads the data port, 2 or 4 bytes. All ones when there is nothing to read.</summary>
    public void ReadData(Span<byte> data)
    {
        data.Fill(0xFF);
        if (Phase != IdeDrivePhase.DataIn)
            return;
        int length = Math.Min(data.Length, _bufferLength - _bufferPosition);
        _io.Buffer.Slice(_bufferPosition, length).CopyTo(data);
        _bufferPosition += length;
        if (_bufferPosition < _bufferLength)
            return;
        if (_sectorsLeft > 0)
            ReadBlock();
        else
            BecomeIdle();
    }

    /// <summary>The guest writes the data port, 2 or 4 bytes. Nothing happens when none is wanted.</summary>
    public void WriteData(ReadOnlySpan<byte> data)
    {
        if (Phase != IdeDrivePhase.DataOut)
            return;
        int length = Math.Min(data.Length, _bufferLength - _bufferPosition);
        data[..length].CopyTo(_io.Buffer[_bufferPosition..]);
        _bufferPosition += length;
        if (_bufferPosition == _bufferLength)
            StartDisk(_bufferLength);
    }

    /// <summary>The bus master takes the transfer that waits for it.</summary>
    public void RunDma(uint table)
    {
        SetBusy();
        _io.StartDma(_transfer.Operation, WriteFlags, _nextSector * SectorBytes, (ulong)_sectorsLeft * SectorBytes, table);
    }

    /// <summary>SRST is set (§9.3): the drive is busy until <see cref="EndReset"/>, at least.</summary>
    public void BeginReset()
    {
        _inReset = true;
        _status = AtaStatus.Busy;
        if (Phase != IdeDrivePhase.Disk)
            Phase = IdeDrivePhase.Idle;
        SetInterrupt(false);
    }

    /// <summary>
    /// SRST is clear. A request under way may still be writing to guest memory: the drive stays busy until that is over, which is what
    /// the guest waits for before it uses the memory again.
    /// </summary>
    public void EndReset()
    {
        _inReset = false;
        if (Phase != IdeDrivePhase.Disk)
            ShowSignature();
    }

    /// <summary>The registers after a reset or diagnostics.</summary>
    public void ShowSignature()
    {
        _registers = TaskFile.Signature;
        _error = AtaError.DiagnosticsPassed;
        Phase = IdeDrivePhase.Idle;
        _status = AtaStatus.Idle;
    }

    /// <summary>Returns when no request is under way. Not under the channel's lock, nor on the drive's loop.</summary>
    public void Drain() => _io.Drain();

    /// <summary>Waits for what is under way and closes the disk.</summary>
    public void Dispose()
    {
        _io.Dispose();
        _backend.Dispose();
    }

    void IDriveIoOwner.OnIoCompleted(in DriveIoResult result)
    {
        lock (_bus.AccessLock)
        {
            if (_transfer.Protocol == TransferProtocol.Dma)
                _bus.OnDmaEnded(result.Table);
            Phase = IdeDrivePhase.Idle;
            if (_status == AtaStatus.Busy)
                EndAbandoned();
            else if (result.Failed)
                FailOnDisk();
            else
                Continue(result);
        }
    }

    private BlockRequestFlags WriteFlags =>
        _transfer.Operation == BlockOperation.Write && (_transfer.Fua || !_settings.WriteCache) ? BlockRequestFlags.Fua : BlockRequestFlags.None;

    /// <summary>A reset came while the request was under way.</summary>
    private void EndAbandoned()
    {
        if (!_inReset)
            ShowSignature();
    }

    /// <summary>The disk, or the bus master, has done its part.</summary>
    private void Continue(in DriveIoResult result)
    {
        uint sectors = (uint)(result.Bytes / SectorBytes);
        _nextSector += sectors;
        _sectorsLeft -= sectors;
        if (_transfer.Protocol == TransferProtocol.Dma)
        {
            if (_sectorsLeft == 0)
                Complete();
            else
                RequestDma(); // the table was too short, or wrong: nobody interrupts (Bus Master IDE 1.0 §3.1)
        }
        else if (_transfer.Operation == BlockOperation.Read)
        {
            OfferData((int)result.Bytes);
        }
        else if (_sectorsLeft > 0)
        {
            RequestData();
            SetInterrupt(true);
        }
        else
        {
            Complete();
        }
    }

    /// <summary>Wants the next block written to the data port.</summary>
    private void RequestData()
    {
        _bufferPosition = 0;
        _bufferLength = NextBlockBytes;
        Phase = IdeDrivePhase.DataOut;
        _status = AtaStatus.Idle | AtaStatus.DataRequest;
    }

    /// <summary>Wants the data port read: so many bytes are in the buffer.</summary>
    private void OfferData(int length)
    {
        _bufferPosition = 0;
        _bufferLength = length;
        Phase = IdeDrivePhase.DataIn;
        _status = AtaStatus.Idle | AtaStatus.DataRequest;
        SetInterrupt(true);
    }

    private void RequestDma()
    {
        Phase = IdeDrivePhase.DmaRequest;
        _status = AtaStatus.Idle | AtaStatus.DataRequest;
        _bus.OnDmaRequested();
    }

    private void ReadBlock() => StartDisk(NextBlockBytes);

    private int NextBlockBytes =>
        (int)Math.Min(_sectorsLeft, _transfer.Protocol == TransferProtocol.Multiple ? _settings.Multiple : 1u) * SectorBytes;

    private void StartDisk(int length)
    {
        SetBusy();
        _io.StartBuffered(_transfer.Operation, WriteFlags, _nextSector * SectorBytes, length);
    }

    private void SetBusy()
    {
        Phase = IdeDrivePhase.Disk;
        _status = AtaStatus.Idle | AtaStatus.Busy;
    }

    private void BecomeIdle()
    {
        Phase = IdeDrivePhase.Idle;
        _status = AtaStatus.Idle;
    }

    /// <summary>The command is done.</summary>
    public void Complete()
    {
        BecomeIdle();
        SetInterrupt(true);
    }

    /// <summary>The command failed in a way that the error register names.</summary>
    private void Fail(AtaError error)
    {
        _error = error;
        Phase = IdeDrivePhase.Idle;
        _status = AtaStatus.Idle | AtaStatus.Error;
        SetInterrupt(true);
    }

    /// <summary>The host could not do it. Reads have an error for that; what cannot be written is the drive's fault.</summary>
    private void FailOnDisk()
    {
        ShowAddress(_nextSector);
        if (_transfer.Operation == BlockOperation.Read)
        {
            Fail(AtaError.Uncorrectable);
            return;
        }

        BecomeIdle();
        _status |= AtaStatus.DeviceFault;
        SetInterrupt(true);
    }

    /// <summary>The sector that an error is about.</summary>
    private void ShowAddress(ulong sector)
    {
        if (_transfer.Extended)
            _registers.SetLba48(sector);
        else if (_registers.UsesLba)
            _registers.SetLba28(sector);
    }

    private void SetInterrupt(bool pending)
    {
        if (InterruptPending == pending)
            return;
        InterruptPending = pending;
        _bus.OnInterruptChanged();
    }
}
