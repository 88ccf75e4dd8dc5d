using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Fabric;

/// <summary>
/// The VM's table from GSI to interrupt controller input or MSI. Immutable and published whole (KVM_SET_GSI_ROUTING), since the
/// kernel knows no smaller update; so callers change it only when a route really changes. Thread-safe.
/// </summary>
internal sealed unsafe class GsiRouting
{
    internal const int IoApicPins = 24;

    private readonly FileDescriptor _vm;
    private readonly Lock _gate = new();
    private readonly bool[] _allocated;
    private kvm_irq_routing_entry[] _entries;

    internal GsiRouting(FileDescriptor vm, IrqchipMode mode, int capacity)
    {
        _vm = vm;
        _allocated = new bool[capacity];
        Array.Fill(_allocated, true, 0, IoApicPins);
        _entries = mode == IrqchipMode.Kernel ? DefaultRoutes() : [];
        Publish(_entries);
    }

    /// <summary>The published table; immutable.</summary>
    internal ReadOnlySpan<kvm_irq_routing_entry> Entries => Volatile.Read(ref _entries);

    /// <summary>Reserves a GSI above the I/O APIC's inputs. Throws <see cref="LinuxException"/> (ENOSPC) when all are taken.</summary>
    internal uint Allocate()
    {
        lock (_gate)
        {
            int gsi = Array.IndexOf(_allocated, false);
            if (gsi < 0)
                throw new LinuxException("allocate a GSI for an interrupt vector", Abi.LibcConstants.ENOSPC);
            _allocated[gsi] = true;
            return (uint)gsi;
        }
    }

    internal void Free(uint gsi)
    {
        lock (_gate)
        {
            kvm_irq_routing_entry[] entries = Array.FindAll(_entries, e => e.gsi != gsi);
            if (entries.Length != _entries.Length)
                Publish(entries);
            _allocated[gsi] = false;
        }
    }

    /// <summary>Routes a GSI to a message; does nothing if that is its route already.</summary>
    internal void SetMsi(uint gsi, ulong address, uint data)
    {
        kvm_irq_routing_entry entry = new() { gsi = gsi, type = KVM_IRQ_ROUTING_MSI };
        entry.u.msi.address_lo = (uint)address;
        entry.u.msi.address_hi = (uint)(address >> 32);
        entry.u.msi.data = data;
        lock (_gate)
        {
            int old = Array.FindIndex(_entries, e => e.gsi == gsi);
            if (old < 0)
            {
                Publish([.. _entries, entry]);
                return;
            }

            kvm_irq_routing_msi route = _entries[old].u.msi;
            if (route.address_lo == entry.u.msi.address_lo && route.address_hi == entry.u.msi.address_hi && route.data == data)
                return;
            var entries = (kvm_irq_routing_entry[])_entries.Clone();
            entries[old] = entry;
            Publish(entries);
        }
    }

    /// <summary>ISA interrupts reach both PICs and the I/O APIC; the PIT's GSI 0 is I/O APIC input 2, as on every PC (ACPI interrupt override).</summary>
    private static kvm_irq_routing_entry[] DefaultRoutes()
    {
        var entries = new List<kvm_irq_routing_entry>(40);
        for (uint gsi = 0; gsi < 16; gsi++)
        {
            if (gsi != 2)
                entries.Add(Pin(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8));
        }

        for (uint gsi = 0; gsi < IoApicPins; gsi++)
        {
            if (gsi != 2)
                entries.Add(Pin(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi));
        }

        return [.. entries];
    }

    private static kvm_irq_routing_entry Pin(uint gsi, uint chip, uint pin)
    {
        kvm_irq_routing_entry entry = new() { gsi = gsi, type = KVM_IRQ_ROUTING_IRQCHIP };
        entry.u.irqchip = new kvm_irq_routing_irqchip { irqchip = chip, pin = pin };
        return entry;
    }

    private void Publish(kvm_irq_routing_entry[] entries)
    {
        byte[] buffer = new byte[sizeof(kvm_irq_routing) + entries.Length * sizeof(kvm_irq_routing_entry)];
        fixed (byte* p = buffer)
        {
            // SAFETY: the buffer holds the header and exactly nr entries.
            ((kvm_irq_routing*)p)->nr = (uint)entries.Length;
            entries.CopyTo(new Span<kvm_irq_routing_entry>(p + sizeof(kvm_irq_routing), entries.Length));
            KvmIoctl.Call(_vm, KVM_SET_GSI_ROUTING, p, "KVM_SET_GSI_ROUTING");
        }

        Volatile.Write(ref _entries, entries);
    }
}
