using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary><c>struct sock_filter</c>, linux/filter.h: an instruction of a classic BPF program.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct sock_filter
{
    /// <summary>BPF_…</summary>
    public ushort code;

    /// <summary>Instructions to skip if a comparison is true.</summary>
    public byte jt;

    /// <summary>Instructions to skip if it is false.</summary>
    public byte jf;

    /// <summary>The operand.</summary>
    public uint k;
}

/// <summary><c>struct seccomp_data</c>, linux/seccomp.h: what a filter looks at.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct seccomp_data
{
    public int nr;

    /// <summary>AUDIT_ARCH_…</summary>
    public uint arch;

    public ulong instruction_pointer;

    public fixed ulong args[6];
}

/// <summary>Constants of linux/bpf_common.h, linux/audit.h and linux/seccomp.h.</summary>
public static class SeccompConstants
{
    public const ushort BPF_LD = 0, BPF_W = 0, BPF_ABS = 0x20, BPF_ALU = 4, BPF_AND = 0x50, BPF_JMP = 5, BPF_JA = 0, BPF_JEQ = 0x10, BPF_JGE = 0x30, BPF_K = 0, BPF_RET = 6;

    public const uint AUDIT_ARCH_X86_64 = 0xC000003E;

    public const uint SECCOMP_RET_KILL_PROCESS = 0x80000000, SECCOMP_RET_TRAP = 0x30000, SECCOMP_RET_ERRNO = 0x50000, SECCOMP_RET_ALLOW = 0x7fff0000;
}
