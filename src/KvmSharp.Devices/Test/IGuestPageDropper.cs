using KvmSharp.Core.Memory;

namespace KvmSharp.Devices.Test;

/// <summary>Makes the hypervisor forget its mapping of a guest page, so that the next access faults it in again.</summary>
public interface IGuestPageDropper
{
    /// <param name="address">Any guest physical address; the page around it is meant. Addresses outside RAM are ignored. vCPU thread.</param>
    void Drop(GuestAddress address);
}
