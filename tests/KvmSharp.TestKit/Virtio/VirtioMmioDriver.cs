using KvmSharp.Devices.Buses;

namespace KvmSharp.TestKit.Virtio;

/// <summary>Drives the registers of a virtio-mmio device (virtio 1.2 §4.2).</summary>
public sealed class VirtioMmioDriver(MmioBus bus, ulong start) : VirtioTransportDriver(bus)
{
    public override byte Status
    {
        get => (byte)Read(start + 0x70, 4);
        set => Write(start + 0x70, value, 4);
    }

    public override uint Generation => Read(start + 0xfc, 4);

    public override ulong ConfigAddress => start + 0x100;

    public uint InterruptStatus => Read(start + 0x60, 4);

    public override ulong OfferedFeatures
    {
        get
        {
            Write(start + 0x14, 0, 4);
            ulong low = Read(start + 0x10, 4);
            Write(start + 0x14, 1, 4);
            return low | (ulong)Read(start + 0x10, 4) << 32;
        }
    }

    public uint ReadRegister(uint offset) => Read(start + offset, 4);

    public void AcknowledgeInterrupt(uint bits) => Write(start + 0x64, bits, 4);

    public override void SetFeatures(ulong features)
    {
        Write(start + 0x24, 0, 4);
        Write(start + 0x20, (uint)features, 4);
        Write(start + 0x24, 1, 4);
        Write(start + 0x20, (uint)(features >> 32), 4);
    }

    public override ushort GetMaxSize(int queue)
    {
        Select(queue);
        return (ushort)Read(start + 0x34, 4);
    }

    public override void SetUpQueue(int queue, DriverQueue driver)
    {
        Select(queue);
        Write(start + 0x38, driver.Size, 4);
        WriteAddress(0x80, driver.DescriptorArea);
        WriteAddress(0x90, driver.DriverArea);
        WriteAddress(0xa0, driver.DeviceArea);
        Write(start + 0x44, 1, 4);
    }

    public override bool IsEnabled(int queue)
    {
        Select(queue);
        return Read(start + 0x44, 4) == 1;
    }

    public override void ResetQueue(int queue)
    {
        Select(queue);
        Write(start + 0xc0, 1, 4);
    }

    public override (ulong Address, uint Length, uint Value) GetNotification(int queue) => (start + 0x50, 4, (uint)queue);

    private void Select(int queue) => Write(start + 0x30, (uint)queue, 4);

    private void WriteAddress(uint offset, ulong address)
    {
        Write(start + offset, (uint)address, 4);
        Write(start + offset + 4, (uint)(address >> 32), 4);
    }
}
