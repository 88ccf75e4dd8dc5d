namespace KvmSharp.Core.Fabric;

/// <summary>Guest writes that become eventfd signals inside the kernel (KVM_IOEVENTFD), never reaching a vCPU thread.</summary>
public interface IDoorbellFabric
{
    /// <param name="address">Guest physical address of the register.</param>
    /// <param name="length">Width of the write in bytes: 1, 2, 4 or 8; 0 matches any width.</param>
    /// <param name="match">Only writes of this value signal; null: every write does.</param>
    /// <param name="kick">Signalled by the kernel; stays owned by the caller and must outlive the registration.</param>
    /// <returns>Dispose ends the registration.</returns>
    IDisposable RegisterMmio(ulong address, uint length, ulong? match, EventFd kick);

    /// <inheritdoc cref="RegisterMmio"/>
    IDisposable RegisterPio(ushort port, uint length, ulong? match, EventFd kick);
}
