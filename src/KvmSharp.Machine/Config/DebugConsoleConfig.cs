namespace KvmSharp.Machine.Config;

/// <summary>The debug console: every byte written to <paramref name="Port"/> goes to the host end; reading gives the port's low byte.</summary>
public sealed record DebugConsoleConfig(ushort Port, CharConfig Char);
