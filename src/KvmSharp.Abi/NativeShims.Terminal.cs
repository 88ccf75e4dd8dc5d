using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class NativeShims
{
    /// <summary>
    /// SIGABRT gives the terminal <paramref name="fd"/> the settings in <paramref name="mode"/> (copied) before it ends the process. One
    /// terminal at a time; a negative descriptor ends the watch. Returns 0, or -errno.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_terminal_guard")]
    public static partial int kvmsharp_terminal_guard(int fd, termios* mode);
}
