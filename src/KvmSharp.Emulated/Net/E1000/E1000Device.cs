using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Pci;
using Microsoft.Extensions.Logging;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// An Intel 82540EM gigabit controller (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual). Attach
/// <see cref="Function"/> to a PCI root; detach it, or let no vCPU run, before disposing this. Owns its back end, not the loop, which
/// must run while vCPUs do.
/// </summary>
public sealed class E1000Device : IEventSink, IPciConfigHook, IDisposable
{
    internal const ushort VendorId = 0x8086, DeviceId = 0x100E, SubsystemId = 0x001E;
    internal const int SubsystemIdWord = 0x0B;

    private const byte PciNetwork = 2, Revision = 2;
    private const int MemoryBar = 0, IoBar = 2;

    // wiring
    private readonly E1000Options _options;
    private readonly INetBackend _backend;
    private readonly RegisterFile _registers = new();
    private readonly Statistics _statistics = new();
    private readonly Eeprom _eeprom;
    private readonly Phy _phy = new();
    private readonly InterruptCauses _interrupts;
    private readonly DataPath _dataPath;
    private readonly RegisterBank _bank;
    private readonly IoWindow _window;
    private readonly EventTimer _linkTimer;

    // volatile state
    private bool _lossReported;

    public E1000Device(E1000Options options, INetBackend backend, GuestMemory memory, EventLoop loop)
    {
        const NetOffloads SendOffloads = NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6;
        ArgumentOutOfRangeException.ThrowIfEqual(options.Mac.IsMulticast, true, nameof(options));
        _options = options;
        _backend = backend;
        _eeprom = new Eeprom(options.Mac);
        Function = new PciEndpoint(options.Name, Identity, this);
        _interrupts = new InterruptCauses(loop, () => Function.Intx);
        Receiver receiver = new(_registers, memory, _interrupts, _statistics);
        FrameSender sender = new((backend.SupportedOffloads & SendOffloads) == SendOffloads, _statistics);
        Transmitter transmitter = new(_registers, _phy, memory, _interrupts, sender, receiver);
        _dataPath = new DataPath(backend, loop, _registers, transmitter, receiver);
        _bank = new RegisterBank(_registers, _eeprom, _phy, _interrupts, _statistics, _dataPath, ResetController);
        _window = new IoWindow(_bank);
        Function.AddBar(new PciBar(MemoryBar, PciBarKind.Memory32, Length, _bank));
        Function.AddBar(new PciBar(IoBar, IoWindow.Length, _window));
        Function.AddIntx();

        // A partial checksum we complete ourselves, in the pass that verifies others.
        backend.SetOffloads(NetOffloads.Checksum);
        backend.SetActiveQueuePairs(1);
        _phy.HasPartner = backend.LinkUp;
        _linkTimer = new EventTimer(loop, this, 0);
        ResetController();
        if (options.LinkCheckNs > 0)
            _linkTimer.Arm(options.LinkCheckNs, options.LinkCheckNs);
    }

    /// <summary>What goes on the PCI bus.</summary>
    public PciEndpoint Function { get; }

    /// <summary>Stops the device and closes the back end.</summary>
    public void Dispose()
    {
        _linkTimer.Dispose();
        lock (_bank.AccessLock)
            _dataPath.Dispose();
        _interrupts.Dispose();
        Function.Dispose();
        _backend.SetOffloads(NetOffloads.None);
        _backend.Dispose();
    }

    /// <summary>Looks at the link.</summary>
    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (!_lossReported && _backend.Loss is { } loss)
        {
            _lossReported = true;
            _options.Logger.LogWarning("{Loss}, the link stays down until the program is started again", loss);
        }

        bool up = _backend.LinkUp;
        if (up == _phy.HasPartner)
            return;
        _phy.HasPartner = up;
        _interrupts.Raise(ICR_LSC);
    }

    void IPciConfigHook.BeforeRead(int offset, int length)
    {
    }

    void IPciConfigHook.AfterWrite(int offset, int length)
    {
        bool master = (Function.Config.Get16(PciRegisters.Command) & PciRegisters.CommandBusMaster) != 0;
        lock (_bank.AccessLock)
        {
            if (master == _dataPath.IsBusMaster)
                return;
            _dataPath.IsBusMaster = master;
            _dataPath.RestartReceive();
            _dataPath.RestartTransmit();
        }
    }

    private static PciIdentity Identity => new()
    {
        VendorId = VendorId,
        DeviceId = DeviceId,
        Revision = Revision,
        BaseClass = PciNetwork,
        SubsystemVendorId = VendorId,
        SubsystemId = SubsystemId,
    };

    /// <summary>CTRL.RST: all but the transceiver (manual §14.4). Under the device's lock.</summary>
    private void ResetController()
    {
        _registers.Reset();
        _dataPath.RestartReceive();
        _dataPath.RestartTransmit();
        _interrupts.Reset();
        _eeprom.Reset();
        _statistics.Reset();
        _window.Reset();

        // The controller reads its address from the EEPROM.
        Span<byte> mac = stackalloc byte[MacAddress.Length];
        _options.Mac.CopyTo(mac);
        _registers[RAL0] = (uint)(mac[0] | mac[1] << 8 | mac[2] << 16 | mac[3] << 24);
        _registers[RAH0] = (uint)(mac[4] | mac[5] << 8) | RAH_AV;
    }
}
