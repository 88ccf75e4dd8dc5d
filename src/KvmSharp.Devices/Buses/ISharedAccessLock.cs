namespace KvmSharp.Devices.Buses;

/// <summary>
/// A device with several ranges, or with work outside register accesses, hands the bus the lock to serialise its accesses by;
/// otherwise every range gets a lock of its own.
/// </summary>
public interface ISharedAccessLock
{
    Lock AccessLock { get; }
}
