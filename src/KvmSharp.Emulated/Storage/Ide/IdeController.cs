using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Pci;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>
/// The IDE function of a PIIX3 (Intel 82371SB, function 1): two channels at the legacy ports and interrupts, and bus master registers
/// behind BAR 4. The caller registers the ports and attaches <see cref="Function"/> beside <see cref="CreateIsaBridge"/>, after which
/// the guest finds it enabled, as firmware leaves it.
/// </summary>
public sealed class IdeController : IPioDevice, IPciConfigHook, IDisposable
{
    public const int ChannelCount = 2;
    public const int DrivesPerChannel = 2;
    public const int MaxDisks = ChannelCount * DrivesPerChannel;

    /// <summary>The function's place in the device, whose function 0 is the ISA bridge.</summary>
    public const int FunctionNumber = 1;

    public const int CommandPortCount = IdeChannel.PortCount;

    private const int BusMasterBar = 4;
    private const int BusMasterPorts = 16;
    private const int TimingRegister = 0x40;
    private const int SlaveTimingRegister = 0x44;
    private const ushort DecodeEnable = 1 << 15;
    private const byte MassStorage = 0x01, IdeSubclass = 0x01;

    /// <summary>A bus master; both channels in legacy mode, for good.</summary>
    private const byte LegacyBusMaster = 0x80;

    private readonly PciEndpoint _function;
    private readonly IdeChannel[] _channels;

    /// <param name="disks">At most four: master and slave of the primary channel, then of the secondary. They are the controller's from the call on, also if it throws what opening them for I/O throws.</param>
    /// <param name="primary">The interrupt of the primary channel.</param>
    /// <param name="secondary">Of the secondary channel.</param>
    public IdeController(IReadOnlyList<IdeDiskOptions> disks, GuestMemory memory, IIrqLine primary, IIrqLine secondary)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(disks.Count, MaxDisks, nameof(disks));
        _channels = [new IdeChannel(primary), new IdeChannel(secondary)];
        _function = new PciEndpoint("ide", new PciIdentity
        {
            VendorId = 0x8086, DeviceId = 0x7010, BaseClass = MassStorage, Subclass = IdeSubclass, ProgrammingInterface = LegacyBusMaster,
        }, this);
        _function.AddBar(new PciBar(BusMasterBar, BusMasterPorts, this));
        for (int channel = 0; channel < ChannelCount; channel++)
        {
            int timing = TimingRegister + (2 * channel);
            _function.Config.Set16(timing, DecodeEnable);
            _function.Config.SetWritable16(timing, 0xFFFF);
        }

        _function.Config.SetWritable(SlaveTimingRegister, 0xFF);
        _function.Config.Set16(PciRegisters.Command, PciRegisters.CommandIo);
        ApplyConfig();
        AddDisks(disks, memory);
    }

    public IPciFunction Function => _function;

    /// <summary>What function 0 of a PIIX3 is. It has no registers that a guest of a machine with ACPI uses.</summary>
    public static PciEndpoint CreateIsaBridge() => new("isa-bridge", new PciIdentity { VendorId = 0x8086, DeviceId = 0x7000, BaseClass = 0x06, Subclass = 0x01 });

    /// <summary>The <see cref="CommandPortCount"/> ports of a channel's command block.</summary>
    public IPioDevice CommandPorts(int channel) => _channels[channel];

    /// <summary>The one port of a channel's control block.</summary>
    public IPioDevice ControlPort(int channel) => _channels[channel].Control;

    /// <summary>A read of the bus master registers, which may be of any width.</summary>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (!TryFind(offset, data.Length, out IdeChannel? channel))
            return BusStatus.Unaligned;
        channel!.ReadBusMaster(offset % BusMaster.PortCount, data);
        return BusStatus.Ok;
    }

    /// <inheritdoc cref="In"/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (!TryFind(offset, data.Length, out IdeChannel? channel))
            return BusStatus.Unaligned;
        channel!.WriteBusMaster(offset % BusMaster.PortCount, data);
        return BusStatus.Ok;
    }

    void IPciConfigHook.BeforeRead(int offset, int length)
    {
    }

    void IPciConfigHook.AfterWrite(int offset, int length) => ApplyConfig();

    /// <summary>Waits for what is under way and closes the disks. vCPUs have stopped.</summary>
    public void Dispose()
    {
        foreach (IdeChannel channel in _channels)
            channel.Dispose();
        _function.Dispose();
    }

    private void AddDisks(IReadOnlyList<IdeDiskOptions> disks, GuestMemory memory)
    {
        int added = 0;
        try
        {
            for (; added < disks.Count; added++)
                _channels[added / DrivesPerChannel].Add(disks[added], memory);
        }
        catch
        {
            Dispose();
            foreach (IdeDiskOptions disk in disks.Skip(added))
                disk.Backend.Dispose();
            throw;
        }
    }

    private void ApplyConfig()
    {
        ushort command = _function.Config.Get16(PciRegisters.Command);
        for (int channel = 0; channel < ChannelCount; channel++)
        {
            bool enabled = (_function.Config.Get16(TimingRegister + (2 * channel)) & DecodeEnable) != 0;
            _channels[channel].Enable(enabled && (command & PciRegisters.CommandIo) != 0, (command & PciRegisters.CommandBusMaster) != 0);
        }
    }

    /// <summary>False: the access goes beyond a channel's registers.</summary>
    private bool TryFind(ushort offset, int length, out IdeChannel? channel)
    {
        bool inside = offset % BusMaster.PortCount + length <= BusMaster.PortCount;
        channel = inside ? _channels[offset / BusMaster.PortCount] : null;
        return inside;
    }
}
