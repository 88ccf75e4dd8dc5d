using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Fabric;

/// <summary>Doorbells over KVM_IOEVENTFD. Thread-safe. Throws <see cref="LinuxException"/> (EEXIST: the address has one already).</summary>
internal sealed unsafe class KvmDoorbellFabric(FileDescriptor vm) : IDoorbellFabric
{
    public IDisposable RegisterMmio(ulong address, uint length, ulong? match, EventFd kick) => Register(address, length, match, kick, 0);

    public IDisposable RegisterPio(ushort port, uint length, ulong? match, EventFd kick) => Register(port, length, match, kick, KVM_IOEVENTFD_FLAG_PIO);

    private Registration Register(ulong address, uint length, ulong? match, EventFd kick, uint flags)
    {
        kvm_ioeventfd request = new()
        {
            addr = address,
            len = length,
            fd = kick.Value,
            datamatch = match ?? 0,
            flags = flags | (match is null ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH),
        };
        KvmIoctl.Call(vm, KVM_IOEVENTFD, &request, $"KVM_IOEVENTFD at 0x{address:x}");
        return new Registration(vm, request);
    }

    private sealed class Registration(FileDescriptor vm, kvm_ioeventfd request) : IDisposable
    {
        private int _disposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0)
                return;
            kvm_ioeventfd undo = request;
            undo.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
            _ = KvmIoctl.Try(vm, KVM_IOEVENTFD, (nint)(&undo));
        }
    }
}
