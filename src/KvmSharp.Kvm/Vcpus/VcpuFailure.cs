namespace KvmSharp.Kvm.Vcpus;

/// <summary>Why a vCPU cannot go on.</summary>
/// <param name="VcpuIndex">Which vCPU.</param>
/// <param name="Reason">One line: the exit and what KVM said about it.</param>
/// <param name="Details">Several lines: registers, bytes at RIP and their disassembly; empty if the state could not be read.</param>
public sealed record VcpuFailure(int VcpuIndex, string Reason, string Details)
{
    public override string ToString() => Details.Length == 0 ? Reason : $"{Reason}\n{Details}";
}
