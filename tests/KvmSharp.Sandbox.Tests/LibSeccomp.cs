using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox.Tests;

/// <summary>Filters of the same list as others make them: libseccomp (seccomp.h), whose functions return 0 or -errno.</summary>
internal static unsafe partial class LibSeccomp
{
    private const string Library = "libseccomp.so.2";

    // enum scmp_filter_attr, enum scmp_compare.
    private const uint ActionOfBadArchitecture = 2;
    private const int MaskedEqual = 7;

    /// <summary>The filter of a role.</summary>
    public static sock_filter[] Compile(ThreadRole role)
    {
        void* filter = seccomp_init(SeccompConstants.SECCOMP_RET_TRAP);
        Assert.True(filter != null);
        try
        {
            Assert.Equal(0, seccomp_attr_set(filter, ActionOfBadArchitecture, SeccompConstants.SECCOMP_RET_KILL_PROCESS));
            foreach (SystemCall call in SystemCalls.Allowed.Where(c => c.IsFor(role)))
                Allow(filter, call, role);
            foreach ((int number, int errno) in SystemCalls.Refused)
                Assert.Equal(0, seccomp_rule_add_array(filter, SeccompConstants.SECCOMP_RET_ERRNO | (uint)errno, number, 0, null));
            return Export(filter);
        }
        finally
        {
            seccomp_release(filter);
        }
    }

    private static void Allow(void* filter, SystemCall call, ThreadRole role)
    {
        if (call.Conditions.Length == 0)
            Assert.Equal(0, seccomp_rule_add_array(filter, SeccompConstants.SECCOMP_RET_ALLOW, call.Number, 0, null));
        foreach (ArgumentCondition condition in call.Conditions.Where(c => c.IsFor(role)))
        {
            scmp_arg_cmp comparison = new() { arg = condition.Index, op = MaskedEqual, datum_a = condition.Mask, datum_b = condition.Value };
            Assert.Equal(0, seccomp_rule_add_array(filter, SeccompConstants.SECCOMP_RET_ALLOW, call.Number, 1, &comparison));
        }
    }

    private static sock_filter[] Export(void* filter)
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileDescriptor file = FileDescriptor.Open(path, LibcConstants.O_RDWR))
                Assert.Equal(0, seccomp_export_bpf(filter, file.Value));
            return MemoryMarshal.Cast<byte, sock_filter>(File.ReadAllBytes(path)).ToArray();
        }
        finally
        {
            File.Delete(path);
        }
    }

    [LibraryImport(Library)]
    private static partial void* seccomp_init(uint defaultAction);

    [LibraryImport(Library)]
    private static partial void seccomp_release(void* filter);

    [LibraryImport(Library)]
    private static partial int seccomp_attr_set(void* filter, uint attribute, uint value);

    [LibraryImport(Library)]
    private static partial int seccomp_rule_add_array(void* filter, uint action, int call, uint count, scmp_arg_cmp* arguments);

    [LibraryImport(Library)]
    private static partial int seccomp_export_bpf(void* filter, int fd);

    /// <summary>A condition on an argument.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct scmp_arg_cmp
    {
        public uint arg;
        public int op;
        public ulong datum_a;
        public ulong datum_b;
    }
}
