using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>
/// A channel with one or two drives: the command block at its first port, the control block and the bus master registers (ATA/ATAPI-7
/// vol. 2, host side). At most one command is under way. With one drive it also answers for the absent one, as ATA-7 vol. 2 §9.16 has it.
/// </summary>
internal sealed class IdeChannel : IPioDevice, ISharedAccessLock, IIdeBus, IDisposable
{
    /// <summary>Ports of the command block.</summary>
    public const int PortCount = 8;

    private const byte InterruptDisable = 1 << 1;
    private const byte SoftwareReset = 1 << 2;
    private const byte HighOrder = 1 << 7;

    /// <summary>What a channel without drives reads: the host pulls bit 7 down.</summary>
    private const byte Floating = 0x7F;

    // wiring
    private readonly IIrqLine _line;
    private readonly List<IdeDrive> _drives = [];

    // volatile state
    private BusMaster _busMaster;
    private byte _control;
    private int _selected;
    private bool _raised;
    private bool _isDecoded;
    private bool _mayMaster;

    public IdeChannel(IIrqLine line)
    {
        _line = line;
        Control = new ControlPort(this);
    }

    /// <summary>One port: device control, and status without taking the interrupt back.</summary>
    public IPioDevice Control { get; }

    public Lock AccessLock { get; } = new();

    /// <summary>The drive that the device register selects; null if it is absent.</summary>
    private IdeDrive? Selected => _selected < _drives.Count ? _drives[_selected] : null;

    /// <summary>Drive 0, then drive 1. Before the guest runs; the channel owns it.</summary>
    public void Add(IdeDiskOptions disk, GuestMemory memory) => _drives.Add(new IdeDrive(disk, memory, this, second: _drives.Count == 1));

    /// <summary>What the configuration space allows. Under the PCI root's lock.</summary>
    /// <param name="decoded">The channel answers at its ports.</param>
    /// <param name="mayMaster">The bus master may access memory.</param>
    public void Enable(bool decoded, bool mayMaster)
    {
        lock (AccessLock)
        {
            _isDecoded = decoded;
            _mayMaster = mayMaster;
        }
    }

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (data.Length != 1 && (offset != IdeRegister.Data || !_isDecoded))
            return BusStatus.BadSize;
        if (!_isDecoded)
            data[0] = 0xFF;
        else if (_drives.Count == 0)
            data.Fill(Floating);
        else if (offset == IdeRegister.Data)
            ReadData(data);
        else if (offset == IdeRegister.Status)
            data[0] = (byte)(IsResetting ? AtaStatus.Busy : Selected?.ReadStatus() ?? AtaStatus.None);
        else
            data[0] = (Selected ?? _drives[0]).Read(offset, previous: (_control & HighOrder) != 0);
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (data.Length != 1 && offset != IdeRegister.Data)
            return BusStatus.BadSize;
        if (!_isDecoded)
            return BusStatus.Ok;
        if (offset == IdeRegister.Data)
        {
            Selected?.WriteData(data);
            return BusStatus.Ok;
        }

        // The registers are the drive's while it is busy (ATA-7 vol. 1 §7.2).
        if (!IsBusy)
            WriteRegister(offset, data[0]);
        return BusStatus.Ok;
    }

    /// <summary>A read of the bus master registers.</summary>
    public void ReadBusMaster(int port, Span<byte> data)
    {
        lock (AccessLock)
        {
            for (int i = 0; i < data.Length; i++)
                data[i] = _busMaster.Read(port + i);
        }
    }

    /// <summary>A write of the bus master registers. Stopping a transfer returns when no more memory is touched.</summary>
    public void WriteBusMaster(int port, ReadOnlySpan<byte> data)
    {
        IdeDrive? stopped = null;
        lock (AccessLock)
        {
            bool wasStarted = _busMaster.IsStarted;
            for (int i = 0; i < data.Length; i++)
                _busMaster.Write(port + i, data[i]);
            if (_busMaster.IsArmed)
                TryRunDma();
            if (wasStarted && !_busMaster.IsStarted)
                stopped = _drives.Find(static drive => drive.Phase == IdeDrivePhase.Disk);
        }

        stopped?.Drain();
    }

    public void Dispose()
    {
        foreach (IdeDrive drive in _drives)
            drive.Dispose();
        _drives.Clear();
        _line.SetLevel(false);
    }

    void IIdeBus.OnInterruptChanged() => UpdateInterrupt();

    void IIdeBus.OnDmaRequested() => TryRunDma();

    void IIdeBus.OnDmaEnded(in PrdTransfer table) => _busMaster.OnEnded(table);

    private bool IsBusy
    {
        get
        {
            foreach (IdeDrive drive in _drives)
            {
                if (drive.IsBusy)
                    return true;
            }

            return false;
        }
    }

    /// <summary>After a reset drive 0 waits for drive 1 (PDIAG-, ATA-7 vol. 1 §9.3): a drive that looks ready must take its commands.</summary>
    private bool IsResetting
    {
        get
        {
            foreach (IdeDrive drive in _drives)
            {
                if (drive.IsResetting)
                    return true;
            }

            return false;
        }
    }

    private void ReadData(Span<byte> data)
    {
        if (Selected is { } drive)
            drive.ReadData(data);
        else
            data.Fill(0xFF);
    }

    /// <summary>Both drives take what is written; only the selected one acts on a command.</summary>
    private void WriteRegister(int register, byte value)
    {
        _control = (byte)(_control & ~HighOrder);
        if (register == IdeRegister.Command)
        {
            Execute((AtaCommand)value);
            return;
        }

        foreach (IdeDrive drive in _drives)
            drive.Write(register, value);
        if (register != IdeRegister.Device)
            return;
        _selected = (value & TaskFile.DeviceSelect) == 0 ? 0 : 1;
        UpdateInterrupt();
    }

    private void Execute(AtaCommand command)
    {
        if (command == AtaCommand.ExecuteDeviceDiagnostic)
            RunDiagnostics();
        else
            Selected?.Execute(command);
    }

    /// <summary>Both drives do it, and drive 0 reports for both (ATA-7 vol. 1 §6.13).</summary>
    private void RunDiagnostics()
    {
        foreach (IdeDrive drive in _drives)
            drive.ShowSignature();
        _selected = 0;
        if (_drives.Count > 0)
            _drives[0].Complete();
    }

    private void WriteControl(byte value)
    {
        bool wasInReset = (_control & SoftwareReset) != 0, isInReset = (value & SoftwareReset) != 0;
        _control = value;
        if (isInReset && !wasInReset)
        {
            _selected = 0;
            foreach (IdeDrive drive in _drives)
                drive.BeginReset();
        }
        else if (wasInReset && !isInReset)
        {
            foreach (IdeDrive drive in _drives)
                drive.EndReset();
        }

        UpdateInterrupt();
    }

    /// <summary>Brings the bus master and the drive that waits for it together, whichever came first.</summary>
    private void TryRunDma()
    {
        if (!_busMaster.IsArmed || Selected is not { Phase: IdeDrivePhase.DmaRequest } drive)
            return;
        if (!_mayMaster || drive.DmaReadsDisk != _busMaster.WritesMemory)
        {
            _busMaster.Refuse();
            return;
        }

        _busMaster.OnRun();
        drive.RunDma(_busMaster.Table);
    }

    private void UpdateInterrupt()
    {
        bool raised = (_control & InterruptDisable) == 0 && Selected is { InterruptPending: true };
        if (raised == _raised)
            return;
        _raised = raised;
        if (raised)
            _busMaster.OnInterrupt();
        _line.SetLevel(raised);
    }

    /// <summary>The control block, under the channel's lock.</summary>
    private sealed class ControlPort(IdeChannel channel) : IPioDevice, ISharedAccessLock
    {
        public Lock AccessLock => channel.AccessLock;

        /// <inheritdoc/>
        public BusStatus In(ushort offset, Span<byte> data)
        {
            if (data.Length != 1)
                return BusStatus.BadSize;
            data[0] = !channel._isDecoded ? (byte)0xFF
                : channel._drives.Count == 0 ? Floating
                : channel.IsResetting ? (byte)AtaStatus.Busy
                : (byte)(channel.Selected?.Status ?? AtaStatus.None);
            return BusStatus.Ok;
        }

        /// <inheritdoc/>
        public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
        {
            if (data.Length != 1)
                return BusStatus.BadSize;
            if (channel._isDecoded)
                channel.WriteControl(data[0]);
            return BusStatus.Ok;
        }
    }
}
