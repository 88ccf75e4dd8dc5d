namespace KvmSharp.Core.Chars;

/// <summary>What happens to the host end of a character device. Bits, so that a device can collect them.</summary>
[Flags]
public enum CharEvent
{
    None = 0,

    /// <summary>There is room again after <see cref="ICharBackend.TryWrite"/> came up short.</summary>
    Writable = 1,

    /// <summary>Somebody has connected.</summary>
    Connected = 2,

    /// <summary>The other end has left.</summary>
    Disconnected = 4,

    /// <summary><see cref="ICharBackend.Size"/> has changed.</summary>
    Resized = 8,
}
