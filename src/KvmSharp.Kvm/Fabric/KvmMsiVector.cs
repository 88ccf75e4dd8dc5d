using KvmSharp.Abi;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Tracing;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Fabric;

/// <summary>
/// A GSI with an MSI route and an irqfd. The irqfd is attached only while the vector is unmasked and has a message; a signal that
/// arrives otherwise stays in the eventfd, and the kernel looks for it when the irqfd is attached, so none is lost.
/// </summary>
internal sealed unsafe class KvmMsiVector : IMsiVector
{
    private static readonly TraceName s_traceName = TraceName.Of("irqfd");

    private readonly FileDescriptor _vm;
    private readonly GsiRouting _routing;
    private readonly Lock _gate = new();
    private readonly uint _gsi;
    private ulong _address;
    private uint _data;
    private bool _hasMessage;
    private bool _masked = true;
    private bool _attached;
    private bool _disposed;

    internal KvmMsiVector(FileDescriptor vm, GsiRouting routing)
    {
        _vm = vm;
        _routing = routing;
        _gsi = routing.Allocate();
        Trigger = new EventFd();
    }

    public EventFd Trigger { get; }

    public bool IsPending
    {
        get
        {
            lock (_gate)
            {
                if (_attached || _disposed)
                    return false;
                pollfd item = new() { fd = Trigger.Value, events = LibcConstants.POLLIN };
                return Libc.poll(&item, 1, 0) > 0 && (item.revents & LibcConstants.POLLIN) != 0;
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>Each change of a live route costs an expensive system call, so a masked vector's message is only remembered.</remarks>
    public void SetMessage(ulong address, uint data)
    {
        lock (_gate)
        {
            _address = address;
            _data = data;
            _hasMessage = true;
            Update();
        }
    }

    public void SetMasked(bool masked)
    {
        lock (_gate)
        {
            _masked = masked;
            Update();
        }
    }

    public void Signal()
    {
        if (Tracer.IsOn)
            Tracer.Interrupt(s_traceName, _gsi, _data);
        Trigger.Signal();
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _masked = true;
            Update();
            _disposed = true;
            _routing.Free(_gsi);
            Trigger.Dispose();
        }
    }

    private void Update()
    {
        if (_disposed)
            return;
        bool attach = !_masked && _hasMessage;
        if (attach)
            _routing.SetMsi(_gsi, _address, _data);
        if (attach == _attached)
            return;
        kvm_irqfd irqfd = new() { fd = (uint)Trigger.Value, gsi = _gsi, flags = attach ? 0 : KVM_IRQFD_FLAG_DEASSIGN };
        KvmIoctl.Call(_vm, KVM_IRQFD, &irqfd, "KVM_IRQFD");
        _attached = attach;
    }
}
