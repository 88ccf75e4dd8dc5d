using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary>
/// libseccomp, from which filters come. Bound at the first call: a program that is not confined does without it, and
/// <see cref="DllNotFoundException"/> says that it is missing. Functions return 0 or -errno.
/// </summary>
public static unsafe partial class Seccomp
{
    private const string Library = "libseccomp.so.2";

    /// <summary>A filter with what becomes of calls that have no rule (SECCOMP_RET_…); null on failure.</summary>
    [LibraryImport(Library, EntryPoint = "seccomp_init")]
    public static partial void* seccomp_init(uint defaultAction);

    [LibraryImport(Library, EntryPoint = "seccomp_release")]
    public static partial void seccomp_release(void* filter);

    [LibraryImport(Library, EntryPoint = "seccomp_attr_set")]
    public static partial int seccomp_attr_set(void* filter, uint attribute, uint value);

    /// <summary>The number of a call by its name on this architecture; __NR_SCMP_ERROR if it has none.</summary>
    [LibraryImport(Library, EntryPoint = "seccomp_syscall_resolve_name")]
    public static partial int seccomp_syscall_resolve_name(byte* name);

    [LibraryImport(Library, EntryPoint = "seccomp_rule_add_array")]
    public static partial int seccomp_rule_add_array(void* filter, uint action, int call, uint count, scmp_arg_cmp* arguments);

    /// <summary>Writes the filter as an array of <c>struct sock_filter</c> to a file.</summary>
    [LibraryImport(Library, EntryPoint = "seccomp_export_bpf")]
    public static partial int seccomp_export_bpf(void* filter, int fd);
}

/// <summary><c>struct scmp_arg_cmp</c>, seccomp.h: a condition on an argument.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct scmp_arg_cmp
{
    public uint arg;
    public int op;
    public ulong datum_a;
    public ulong datum_b;
}

/// <summary>Constants of seccomp.h.</summary>
public static class SeccompConstants
{
    /// <summary>The value is 1 for a chain of comparisons, 2 for a binary tree (libseccomp 2.5).</summary>
    public const uint SCMP_FLTATR_CTL_OPTIMIZE = 8;

    public const uint SCMP_FLTATR_ACT_BADARCH = 2;

    public const int SCMP_CMP_EQ = 4, SCMP_CMP_MASKED_EQ = 7;

    public const int __NR_SCMP_ERROR = -1;
}
