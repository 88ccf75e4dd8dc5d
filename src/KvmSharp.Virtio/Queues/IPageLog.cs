using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>Notes which pages of guest memory a device writes to, for whoever copies that memory elsewhere meanwhile.</summary>
public interface IPageLog
{
    /// <summary>These bytes were written, on any thread. What lies outside the log is not noted.</summary>
    void Mark(GuestAddress start, ulong bytes);
}
