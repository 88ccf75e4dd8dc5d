namespace KvmSharp.Kvm.Vcpus;

/// <summary>Model-specific registers kept in user space. Called on vCPU threads, concurrently; never throws. False: #GP in the guest.</summary>
public interface IMsrHandler
{
    bool TryRead(int vcpuIndex, uint index, out ulong value);

    bool TryWrite(int vcpuIndex, uint index, ulong value);
}
