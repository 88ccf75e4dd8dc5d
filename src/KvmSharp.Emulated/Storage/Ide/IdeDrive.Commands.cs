using KvmSharp.Backends.Block;

namespace KvmSharp.Emulated.Storage.Ide;

internal sealed partial class IdeDrive
{
    private const byte FeatureWriteCacheOn = 0x02, FeatureTransferMode = 0x03, FeatureLookAheadOff = 0x55, FeatureKeepSettings = 0x66,
        FeatureWriteCacheOff = 0x82, FeatureLookAheadOn = 0xAA, FeatureRevertSettings = 0xCC;

    /// <summary>What CHECK POWER MODE answers: active or idle.</summary>
    private const byte PowerActive = 0xFF;

    /// <summary>A write of the command register. The drive is selected and not busy; diagnostics are the channel's.</summary>
    public void Execute(AtaCommand command)
    {
        SetInterrupt(false);
        _error = AtaError.None;
        _status = AtaStatus.Idle;
        _transfer = default;
        _sectorsLeft = 0;
        if (TransferCommand.TryDecode(command, out TransferCommand transfer))
            StartTransfer(transfer);
        else
            ExecuteOther(command);
    }

    private void ExecuteOther(AtaCommand command)
    {
        switch (command)
        {
            case AtaCommand.IdentifyDevice:
                IdentifyData.Write(_io.Buffer[..SectorBytes], _serial, _sectorCount, _backend.Limits, _settings, _second);
                OfferData(SectorBytes);
                break;
            case AtaCommand.FlushCache or AtaCommand.FlushCacheExt:
                _transfer = new TransferCommand(BlockOperation.Flush, command == AtaCommand.FlushCacheExt, TransferProtocol.None);
                StartDisk(0);
                break;
            case AtaCommand.Smart:
                ExecuteSmart();
                break;
            case AtaCommand.CheckPowerMode:
                _registers.Count = PowerActive;
                Complete();
                break;
            case AtaCommand.StandbyImmediate or AtaCommand.IdleImmediate or AtaCommand.Standby or AtaCommand.Idle or AtaCommand.Sleep:
                // There is nothing to spin down; and a drive that sleeps wakes with the next command.
                Complete();
                break;
            case >= AtaCommand.Recalibrate and <= (AtaCommand)0x1F:
                Complete();
                break;
            default:
                CompleteOrAbort(TrySet(command));
                break;
        }
    }

    private void CompleteOrAbort(bool done)
    {
        if (done)
            Complete();
        else
            Fail(AtaError.Aborted);
    }

    /// <summary>Commands that only set something; false: unknown, or not with these parameters.</summary>
    private bool TrySet(AtaCommand command) => command switch
    {
        AtaCommand.SetFeatures => TrySetFeature((byte)_registers.Features, (byte)_registers.Count),
        AtaCommand.SetMultipleMode => TrySetMultiple((byte)_registers.Count),
        AtaCommand.InitializeDeviceParameters => TrySetGeometry(),
        AtaCommand.Seek => TryFindStart(extended: false, out ulong sector) && sector < _sectorCount,
        _ => false,
    };

    private void StartTransfer(in TransferCommand transfer)
    {
        _transfer = transfer;
        uint count = transfer.Extended ? _registers.Count16 : _registers.Count8;
        bool refused = (transfer.Operation == BlockOperation.Write && _backend.Limits.ReadOnly) ||
            (transfer.Protocol == TransferProtocol.Multiple && _settings.Multiple == 0);
        if (refused)
        {
            Fail(AtaError.Aborted);
            return;
        }

        if (!TryFindStart(transfer.Extended, out ulong start) || start >= _sectorCount || count > _sectorCount - start)
        {
            // Nothing is transferred, not even what is on the drive.
            Fail(AtaError.IdNotFound);
            return;
        }

        _nextSector = start;
        _sectorsLeft = count;
        switch (transfer.Protocol)
        {
            case TransferProtocol.Verify:
                Complete();
                break;
            case TransferProtocol.Dma:
                RequestDma();
                break;
            default:
                if (transfer.Operation == BlockOperation.Read)
                    ReadBlock();
                else
                    RequestData();
                break;
        }
    }

    private bool TryFindStart(bool extended, out ulong sector)
    {
        if (!extended && !_registers.UsesLba)
            return _settings.TryTranslate(_registers.Chs, out sector);
        sector = extended ? _registers.Lba48 : _registers.Lba28;
        return true;
    }

    private bool TrySetFeature(byte feature, byte count)
    {
        switch (feature)
        {
            case FeatureWriteCacheOn:
                // A disk whose every write is stable has no cache to turn on.
                _settings.WriteCache = _backend.Limits.WriteCache;
                return _settings.WriteCache;
            case FeatureWriteCacheOff:
                _settings.WriteCache = false;
                return true;
            case FeatureLookAheadOn or FeatureLookAheadOff:
                _settings.ReadLookAhead = feature == FeatureLookAheadOn;
                return true;
            case FeatureTransferMode:
                return TrySetTransferMode(count >> 3, (sbyte)(count & 7));
            default:
                return feature is FeatureKeepSettings or FeatureRevertSettings;
        }
    }

    /// <summary>ATA-7 vol. 1 §6.47.5. The mode says how fast a cable works; here it is only remembered.</summary>
    private bool TrySetTransferMode(int kind, sbyte mode)
    {
        switch (kind)
        {
            case 0:
                return mode <= 1;
            case 1:
                return mode <= 4;
            case 4 when mode <= 2:
                _settings.MultiwordDma = mode;
                _settings.UltraDma = -1;
                return true;
            case 8 when mode <= 5:
                _settings.UltraDma = mode;
                _settings.MultiwordDma = -1;
                return true;
            default:
                return false;
        }
    }

    private bool TrySetMultiple(byte sectors)
    {
        if (sectors > MaxMultiple || (sectors & (sectors - 1)) != 0)
            return false;
        _settings.Multiple = sectors;
        return true;
    }

    private bool TrySetGeometry()
    {
        byte sectors = (byte)_registers.Count;
        if (sectors == 0)
            return false;
        _settings.SectorsPerTrack = sectors;
        _settings.Heads = (byte)((_registers.Device & 0xF) + 1);
        return true;
    }

    private void ExecuteSmart()
    {
        byte subcommand = (byte)_registers.Features;
        bool keyed = (byte)_registers.LbaMid == SmartData.KeyMid && (byte)_registers.LbaHigh == SmartData.KeyHigh;
        if (!keyed || (!_settings.Smart && subcommand != SmartData.Enable))
        {
            Fail(AtaError.Aborted);
            return;
        }

        switch (subcommand)
        {
            case SmartData.ReadData or SmartData.ReadThresholds:
                SmartData.Write(_io.Buffer[..SectorBytes], thresholds: subcommand == SmartData.ReadThresholds);
                OfferData(SectorBytes);
                break;
            case SmartData.Enable or SmartData.Disable:
                _settings.Smart = subcommand == SmartData.Enable;
                Complete();
                break;
            default:
                // The registers hold the key already, which is what RETURN STATUS says of a good drive.
                CompleteOrAbort(subcommand is SmartData.Autosave or SmartData.SaveValues or SmartData.OfflineImmediate or SmartData.ReturnStatus);
                break;
        }
    }
}
