using KvmSharp.Core.Chars;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>The device, as its ports see it.</summary>
internal interface IConsolePortOwner
{
    /// <summary>The driver opens and closes ports. Any thread.</summary>
    bool IsMultiport { get; }

    /// <summary>There may be something to tell the driver. Loop thread.</summary>
    void OnPortChanged(ConsolePort port, CharEvent happened);
}
