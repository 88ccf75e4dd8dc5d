using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary>
/// The C functions of <c>native-shims</c>: what managed code cannot do itself. Linked into the native binary; a shared library beside the
/// assembly otherwise. Each returns -errno on failure, never errno.
/// </summary>
public static partial class NativeShims
{
    private const string Library = "libkvmsharp_native";

    /// <summary>Installs the no-op handler of the kick signal (libc's SIGRTMIN + 6), without SA_RESTART. Idempotent, any thread. Returns the signal's number, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_kick_init")]
    public static partial int kvmsharp_kick_init();

    /// <summary>Unblocks the kick signal in the calling thread. Each vCPU thread calls it once, first. Returns the thread's kernel id, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_kick_enter_thread")]
    public static partial int kvmsharp_kick_enter_thread();

    /// <summary>
    /// Interrupts the thread <paramref name="tid"/> of this process with the kick signal: its blocking system call returns EINTR. Any thread.
    /// Set <c>kvm_run.immediate_exit</c> first, with a full fence, or a kick just before KVM_RUN is lost. Returns 0, or -errno (-ESRCH: ended).
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_kick")]
    public static partial int kvmsharp_kick(int tid);

    /// <summary>KVM_RUN on a vCPU's descriptor, without the errno traffic of a managed system call. Returns 0, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_vcpu_run")]
    public static partial int kvmsharp_vcpu_run(int vcpu);
}
