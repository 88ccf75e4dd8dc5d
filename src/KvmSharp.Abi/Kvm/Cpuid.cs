namespace KvmSharp.Abi.Kvm;

/// <summary><c>struct kvm_cpuid_entry2</c>, asm/kvm.h.</summary>
public unsafe struct kvm_cpuid_entry2
{
    public uint function;
    public uint index;
    public uint flags;
    public uint eax;
    public uint ebx;
    public uint ecx;
    public uint edx;
    public fixed uint padding[3];
}

/// <summary><c>struct kvm_cpuid2</c>, asm/kvm.h; entries follow.</summary>
public struct kvm_cpuid2
{
    public uint nent;
    public uint padding;
}
