using KvmSharp.Core;

namespace KvmSharp.Backends.Net;

/// <summary>How a <see cref="TapBackend"/> gets its tap.</summary>
public sealed record TapOptions
{
    /// <summary>
    /// Interface name, at most 15 bytes. One that exists (persistent) is used and left in place; else it is made and goes with us.
    /// Null: the kernel picks the next free "kvmsharpN".
    /// </summary>
    public string? Name { get; init; }

    /// <summary>Queue pairs, 1 to 256.</summary>
    public int QueuePairs { get; init; } = 1;

    /// <summary>Bridge that the tap joins; null: none.</summary>
    public string? Bridge { get; init; }

    /// <summary>68 to 65535; null leaves what the tap has, or takes the bridge's.</summary>
    public int? Mtu { get; init; }

    /// <summary>Open descriptors of a tap, one per queue pair, whose ownership passes to the back end. Name, bridge and MTU are then not touched.</summary>
    public IReadOnlyList<FileDescriptor>? Descriptors { get; init; }
}
