using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;

namespace KvmSharp.TestKit.Virtio;

/// <summary>Finds the structures of a virtio-pci function through its capabilities, as drivers do.</summary>
public sealed class VirtioPciDriver : VirtioTransportDriver
{
    private readonly PciEndpoint _function;

    public VirtioPciDriver(MmioBus bus, PciEndpoint function)
        : base(bus)
    {
        _function = function;
        PciConfigSpace config = function.Config;
        for (int at = config.Get8(0x34); at != 0; at = config.Get8(at + 1))
        {
            if (config.Get8(at) != 9)
                continue;
            ulong address = function.FindBar(config.Get8(at + 4))!.Address!.Value + config.Get32(at + 8);
            switch (config.Get8(at + 3))
            {
                case 1:
                    Common = address;
                    break;
                case 2:
                    Notify = address;
                    NotifyMultiplier = config.Get32(at + 16);
                    break;
                case 3:
                    Isr = address;
                    break;
                case 4:
                    Device = address;
                    break;
                case 5:
                    Window = at;
                    break;
            }
        }
    }

    public ulong Common { get; }

    public ulong Notify { get; }

    public uint NotifyMultiplier { get; }

    public ulong Isr { get; }

    public ulong Device { get; }

    /// <summary>Offset of the access capability in configuration space.</summary>
    public int Window { get; }

    public override byte Status
    {
        get => (byte)Read(Common + 20, 1);
        set => Write(Common + 20, value, 1);
    }

    public override uint Generation => Read(Common + 21, 1);

    public override ulong ConfigAddress => Device;

    public override ulong OfferedFeatures
    {
        get
        {
            Write(Common, 0, 4);
            ulong low = Read(Common + 4, 4);
            Write(Common, 1, 4);
            return low | (ulong)Read(Common + 4, 4) << 32;
        }
    }

    /// <summary>Vector of each queue; 0xffff for none.</summary>
    public ushort QueueVector { get; set; } = 0xffff;

    public ushort ConfigVector
    {
        get => (ushort)Read(Common + 16, 2);
        set => Write(Common + 16, value, 2);
    }

    public override void SetFeatures(ulong features)
    {
        Write(Common + 8, 0, 4);
        Write(Common + 12, (uint)features, 4);
        Write(Common + 8, 1, 4);
        Write(Common + 12, (uint)(features >> 32), 4);
    }

    public override ushort GetMaxSize(int queue)
    {
        Select(queue);
        return (ushort)Read(Common + 24, 2);
    }

    public override void SetUpQueue(int queue, DriverQueue driver)
    {
        Select(queue);
        Write(Common + 24, driver.Size, 2);
        WriteAddress(32, driver.DescriptorArea);
        WriteAddress(40, driver.DriverArea);
        WriteAddress(48, driver.DeviceArea);
        Write(Common + 26, QueueVector, 2);
        Write(Common + 28, 1, 2);
    }

    public ushort GetVector(int queue)
    {
        Select(queue);
        return (ushort)Read(Common + 26, 2);
    }

    public override bool IsEnabled(int queue)
    {
        Select(queue);
        return Read(Common + 28, 2) == 1;
    }

    public override void ResetQueue(int queue)
    {
        Select(queue);
        Write(Common + 58, 1, 2);
    }

    public override (ulong Address, uint Length, uint Value) GetNotification(int queue)
    {
        Select(queue);
        return (Notify + Read(Common + 30, 2) * NotifyMultiplier, 2, (uint)queue);
    }

    /// <summary>Turns MSI-X on and gives every vector an unmasked message.</summary>
    public void EnableMsix()
    {
        int at = _function.Config.Get8(0x34);
        while (_function.Config.Get8(at) != 0x11)
            at = _function.Config.Get8(at + 1);
        ulong table = _function.FindBar((int)(_function.Config.Get32(at + 4) & 7))!.Address!.Value + (_function.Config.Get32(at + 4) & ~7u);
        for (int i = 0; i < _function.Msix!.VectorCount; i++)
        {
            Write(table + 16UL * (uint)i, 0xfee0_0000, 4);
            Write(table + 16UL * (uint)i + 8, 0x40u + (uint)i, 4);
            Write(table + 16UL * (uint)i + 12, 0, 4);
        }

        _function.WriteConfig(at + 2, [0, 0x80]);
    }

    private void Select(int queue) => Write(Common + 22, (uint)queue, 2);

    private void WriteAddress(uint offset, ulong address)
    {
        Write(Common + offset, (uint)address, 4);
        Write(Common + offset + 4, (uint)(address >> 32), 4);
    }
}
