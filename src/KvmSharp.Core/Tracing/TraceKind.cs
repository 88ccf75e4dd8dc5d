namespace KvmSharp.Core.Tracing;

/// <summary>What a <see cref="TraceRecord"/> is about, and so what its numbers mean.</summary>
internal enum TraceKind : byte
{
    /// <summary>From KVM_RUN's return to the next entry. First: duration.</summary>
    Exit,

    /// <summary>The same for a port. First: duration; second: port; detail: see <see cref="TraceRecord.WriteFlag"/>.</summary>
    PortExit,

    /// <summary>The same for a guest physical address, which is the second.</summary>
    MemoryExit,

    /// <summary>An event loop slept. First: duration.</summary>
    Idle,

    /// <summary>A loop saw the driver's notification. Nothing else.</summary>
    Notification,

    /// <summary>First: GSI or message address; second: level or message data.</summary>
    Interrupt,

    /// <summary>A request went to a back end. First: which one; second: offset; third: length, both in bytes.</summary>
    Submit,

    /// <summary>It came back. First: which one; second: bytes or -errno.</summary>
    Complete,
}
