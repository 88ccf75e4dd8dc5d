namespace KvmSharp.Abi;

// linux/mempolicy.h, asm/unistd_64.h, sys/resource.h
public static partial class LibcConstants
{
    public const int __NR_mbind = 237;
    public const int MPOL_BIND = 2;
    public const int RLIMIT_MEMLOCK = 8;
}
