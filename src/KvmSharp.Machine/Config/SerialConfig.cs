namespace KvmSharp.Machine.Config;

/// <summary>One serial port.</summary>
/// <param name="Index">0 for COM1 to 3 for COM4.</param>
public sealed record SerialConfig(int Index, CharConfig Char);
