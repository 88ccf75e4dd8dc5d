namespace KvmSharp.Kvm.Cpuid;

/// <summary>Which register of a CPUID leaf.</summary>
public enum CpuidRegister
{
    Eax,
    Ebx,
    Ecx,
    Edx,
}
