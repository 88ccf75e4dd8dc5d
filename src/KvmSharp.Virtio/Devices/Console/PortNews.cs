namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// What the driver has still to be told about a port, a bit a message, in the order of sending. Contents are filled in when a message
/// goes out, so whatever happens, no more than one of each kind waits.
/// </summary>
[Flags]
internal enum PortNews
{
    None = 0,
    Add = 1,
    Remove = 2,
    Console = 4,
    Name = 8,
    Resize = 16,
    Open = 32,
}
