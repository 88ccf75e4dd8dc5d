using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "mount", SetLastError = true)]
    public static partial int mount(byte* source, byte* target, byte* type, nuint flags, byte* data);

    [LibraryImport(Library, EntryPoint = "umount2", SetLastError = true)]
    public static partial int umount2(byte* target, int flags);

    [LibraryImport(Library, EntryPoint = "chdir", SetLastError = true)]
    public static partial int chdir(byte* path);

    [LibraryImport(Library, EntryPoint = "setrlimit", SetLastError = true)]
    public static partial int setrlimit(int resource, rlimit* limit);

    /// <summary>The user's entry, in memory of libc's that the next call overwrites; null if there is none.</summary>
    [LibraryImport(Library, EntryPoint = "getpwnam", SetLastError = true)]
    public static partial passwd* getpwnam(byte* name);

    /// <inheritdoc cref="getpwnam"/>
    [LibraryImport(Library, EntryPoint = "getpwuid", SetLastError = true)]
    public static partial passwd* getpwuid(uint user);
}

/// <summary><c>struct passwd</c>, pwd.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct passwd
{
    public byte* pw_name;
    public byte* pw_passwd;
    public uint pw_uid;
    public uint pw_gid;
    public byte* pw_gecos;
    public byte* pw_dir;
    public byte* pw_shell;
}
