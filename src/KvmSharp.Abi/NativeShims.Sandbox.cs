using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class NativeShims
{
    /// <summary>
    /// The calling thread's role (native-shims/sandbox.h), which it keeps; in a confined process its filter is added to what the thread inherited.
    /// Returns 0, or -errno.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_sandbox_role")]
    public static partial int kvmsharp_sandbox_role(int role);

    /// <summary>Sets the filter of a role: <paramref name="count"/> instructions, copied. Returns 0, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_sandbox_filter")]
    public static partial int kvmsharp_sandbox_filter(int role, sock_filter* code, uint count);

    /// <summary>Gives up the calling thread's bounding set: no program that it or a thread it makes later executes gets a capability. Returns 0, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_sandbox_bound")]
    public static partial int kvmsharp_sandbox_bound();

    /// <summary>
    /// Confines every thread that there is, the calling one last, which is in the namespaces already. Once. Returns 0, or -errno: some threads
    /// are confined then, and the process has to end.
    /// </summary>
    /// <param name="tasks">A descriptor of /proc/self/task.</param>
    /// <param name="namespaces">Four descriptors: mount, network, IPC, UTS; -1: stay.</param>
    /// <param name="root">A descriptor of the directory that is the root in the mount namespace, or -1.</param>
    /// <param name="landlock">A ruleset, or -1.</param>
    /// <param name="user">To become, or -1: stay.</param>
    /// <param name="group">As <paramref name="user"/>.</param>
    /// <param name="failed">The thread that could not.</param>
    [LibraryImport(Library, EntryPoint = "kvmsharp_sandbox_enter")]
    public static partial int kvmsharp_sandbox_enter(int tasks, int* namespaces, int root, int landlock, int user, int group, int* failed);

    /// <summary>Starts the process that keeps what works only by path (native-shims/keeper.h). Returns our end of its socket pair, or -errno.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_keeper_start")]
    public static partial int kvmsharp_keeper_start();
}
