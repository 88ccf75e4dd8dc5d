using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class NativeShims
{
    /// <summary>
    /// Runs real-mode code in a VM whose every exit goes straight back into KVM_RUN, <paramref name="batches"/> times <paramref name="perBatch"/> exits
    /// (native-shims/exit-floor.h says what the code finds). Any thread; takes as long as the guest does. Returns 0, or -errno.
    /// </summary>
    /// <param name="doorbell">Port whose one-byte writes end in the kernel; 0: none.</param>
    /// <param name="interrupt">Sent at each exit: 0 none, 1 by irqfd, 2 by KVM_SIGNAL_MSI.</param>
    /// <param name="nanoseconds">Room for a number per batch: processor time per exit.</param>
    [LibraryImport(Library, EntryPoint = "kvmsharp_exit_floor")]
    public static partial int kvmsharp_exit_floor(byte* code, uint codeSize, uint batches, uint perBatch, uint doorbell, uint interrupt, double* nanoseconds);
}
