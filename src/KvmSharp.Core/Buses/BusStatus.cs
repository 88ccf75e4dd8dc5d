namespace KvmSharp.Core.Buses;

/// <summary>
/// What a device made of an access. On anything but <see cref="Ok"/> the bus, not the device, completes the access:
/// reads give all ones, writes are dropped, and it is logged (rate limited).
/// </summary>
public enum BusStatus : byte
{
    Ok,
    NoRegister,
    BadSize,
    Unaligned,
}
