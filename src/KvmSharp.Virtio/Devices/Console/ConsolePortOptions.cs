using KvmSharp.Core.Chars;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>One port of a console device.</summary>
/// <param name="Id">Port number. Port 0 is the only one that a driver without multiport support sees.</param>
/// <param name="Backend">The host end; the device owns it.</param>
public sealed record ConsolePortOptions(uint Id, ICharBackend Backend)
{
    /// <summary>The driver makes it a terminal (hvc), not a plain character device.</summary>
    public bool IsConsole { get; init; }

    /// <summary>What the guest finds it by; empty: none.</summary>
    public string PortName { get; init; } = "";
}
