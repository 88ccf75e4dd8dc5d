namespace KvmSharp.Machine.Config;

/// <summary>A character device and where it leads.</summary>
/// <param name="Who">The device in messages, as "serial port COM1".</param>
public sealed record CharUse(string Who, CharConfig Char);
