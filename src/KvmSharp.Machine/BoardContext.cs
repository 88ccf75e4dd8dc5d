using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Pci;
using KvmSharp.Devices.Test;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Config;
using KvmSharp.Machine.Modules;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>
/// What a device module finds when it attaches its device to a board under construction, and where it leaves what the board must
/// own. Lives only while the board is built, on the control thread.
/// </summary>
/// <param name="owned">The board disposes what is on it when the power cycle ends, last attached first.</param>
internal sealed class BoardContext(Stack<IDisposable> owned)
{
    private VirtioModule? _virtio;
    private IoThreads? _ioThreads;

    public required MachineConfig Config { get; init; }

    public required GuestMemory Memory { get; init; }

    /// <summary>Width of guest physical addresses as CPUID tells the guest.</summary>
    public required int PhysicalAddressBits { get; init; }

    public required IInterruptFabric Interrupts { get; init; }

    public required IDoorbellFabric Doorbells { get; init; }

    public required IGuestPageDropper PageDropper { get; init; }

    public required PioBus Pio { get; init; }

    public required MmioBus Mmio { get; init; }

    public required IMachineControl Control { get; init; }

    public required CharPorts Chars { get; init; }

    public required HostEnds HostEnds { get; init; }

    public required ILoggerFactory Loggers { get; init; }

    /// <summary>The PCI root; null on a machine without PCI.</summary>
    public PciRoot? Pci { get; set; }

    /// <summary>The power button's way in; null without ACPI power management.</summary>
    public AcpiPm? PowerManagement { get; set; }

    /// <summary>What the firmware tables will say; modules add what they attached.</summary>
    public required AcpiConfig Acpi { get; set; }

    /// <summary>Ends the machine because the program itself cannot go on. Any thread; returns at once.</summary>
    public required Action<string> Fail { get; init; }

    /// <summary>Where virtio devices go.</summary>
    public VirtioModule Virtio => _virtio ??= new VirtioModule(this);

    /// <summary>What devices with queues run on.</summary>
    public IoThreads IoThreads => _ioThreads ??= new IoThreads(this);

    /// <summary>Makes the board the owner of a part.</summary>
    public T Own<T>(T part)
        where T : IDisposable
    {
        owned.Push(part);
        return part;
    }

    /// <summary>Puts a function on a PCI machine's bus. Throws <see cref="ConfigException"/> if that is full.</summary>
    public void AttachToPci(IPciFunction function)
    {
        try
        {
            Pci!.Attach(function);
        }
        catch (InvalidOperationException)
        {
            throw new ConfigException($"there is no room on the PCI bus for {function.Name}", "a machine has at most 31 PCI devices");
        }
    }

    /// <summary>Claims ports the user chose. Throws <see cref="ConfigException"/> when they are taken or leave the port space.</summary>
    public void Claim(ushort port, int count, IPioDevice device, string name)
    {
        IDisposable? registration = Pio.TryRegister(port, count, device, name, out string? owner);
        if (registration is null)
        {
            string range = count == 1 ? $"port 0x{port:x}" : $"ports 0x{port:x} to 0x{port + count - 1:x}";
            throw new ConfigException(
                owner is null ? $"{name}: {range} would leave the port space" : $"{name}: {range} would overlap {owner}", "choose another port");
        }

        Own(registration);
    }

    /// <summary>Adds a device that describes itself in the DSDT.</summary>
    public void Describe(IAmlSource source) => Acpi = Acpi with { Devices = [.. Acpi.Devices, source] };
}
