using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>Makes the filter of each role from <see cref="SystemCalls"/>, by libseccomp.</summary>
internal static unsafe class SeccompFilters
{
    private const int InstructionBytes = 8; // struct sock_filter

    /// <summary>Compiles and hands over all filters. Throws <see cref="SandboxException"/> without libseccomp, <see cref="LinuxException"/>.</summary>
    public static void Install()
    {
        try
        {
            foreach (ThreadRole role in Enum.GetValues<ThreadRole>())
                Install(role);
        }
        catch (DllNotFoundException e)
        {
            throw new SandboxException("sandbox: libseccomp.so.2 is missing: install libseccomp2", e);
        }
    }

    private static void Install(ThreadRole role)
    {
        byte[] code = Compile(role);
        fixed (byte* p = code)
            Check(NativeShims.kvmsharp_sandbox_filter((int)role, p, (uint)(code.Length / InstructionBytes)), "take over");
    }

    private static byte[] Compile(ThreadRole role)
    {
        void* filter = Seccomp.seccomp_init(LibcConstants.SECCOMP_RET_TRAP);
        if (filter == null)
            throw new LinuxException("seccomp_init", LibcConstants.ENOMEM);
        try
        {
            // Another architecture's numbers mean other calls.
            Check(Seccomp.seccomp_attr_set(filter, SeccompConstants.SCMP_FLTATR_ACT_BADARCH, LibcConstants.SECCOMP_RET_KILL_PROCESS), "set up");
            // A tree of comparisons; before libseccomp 2.5 a chain.
            _ = Seccomp.seccomp_attr_set(filter, SeccompConstants.SCMP_FLTATR_CTL_OPTIMIZE, 2);
            foreach (SystemCall call in SystemCalls.Allowed)
            {
                if (call.IsFor(role))
                    Allow(filter, call, role);
            }

            foreach ((string name, int errno) in SystemCalls.Refused)
                Check(Seccomp.seccomp_rule_add_array(filter, LibcConstants.SECCOMP_RET_ERRNO | (uint)errno, Number(name), 0, null), name);
            return Export(filter);
        }
        finally
        {
            Seccomp.seccomp_release(filter);
        }
    }

    private static void Allow(void* filter, SystemCall call, ThreadRole role)
    {
        int number = Number(call.Name);
        if (call.Conditions.Length == 0)
            Check(Seccomp.seccomp_rule_add_array(filter, LibcConstants.SECCOMP_RET_ALLOW, number, 0, null), call.Name);
        foreach (ArgumentCondition condition in call.Conditions)
        {
            if (!condition.IsFor(role))
                continue;
            scmp_arg_cmp comparison = new() { arg = condition.Index, op = SeccompConstants.SCMP_CMP_MASKED_EQ, datum_a = condition.Mask, datum_b = condition.Value };
            Check(Seccomp.seccomp_rule_add_array(filter, LibcConstants.SECCOMP_RET_ALLOW, number, 1, &comparison), call.Name);
        }
    }

    private static int Number(string name)
    {
        fixed (byte* p = Encoding.ASCII.GetBytes(name + '\0'))
        {
            int number = Seccomp.seccomp_syscall_resolve_name(p);
            return number != SeccompConstants.__NR_SCMP_ERROR ? number : throw new SandboxException($"sandbox: libseccomp does not know the system call {name}: it is too old");
        }
    }

    private static byte[] Export(void* filter)
    {
        int fd;
        fixed (byte* name = "kvmsharp-filter\0"u8)
            fd = Libc.memfd_create(name, LibcConstants.MFD_CLOEXEC);
        if (fd < 0)
            throw LinuxException.FromLastError("memfd_create for a filter");
        using FileDescriptor file = new(fd);
        Check(Seccomp.seccomp_export_bpf(filter, fd), "export");
        byte[] code = new byte[Libc.lseek(fd, 0, LibcConstants.SEEK_CUR)];
        fixed (byte* p = code)
        {
            if (Libc.pread(fd, p, (nuint)code.Length, 0) != code.Length)
                throw LinuxException.FromLastError("read a filter");
        }

        return code;
    }

    private static void Check(int result, string what)
    {
        if (result < 0)
            throw new LinuxException($"seccomp filter: {what}", -result);
    }
}
