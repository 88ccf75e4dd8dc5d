using System.Buffers.Binary;
using KvmSharp.Devices.Buses;

namespace KvmSharp.TestKit.Virtio;

/// <summary>A driver's view of a transport: the steps of virtio 1.2 §3.1 as register accesses on an MMIO bus.</summary>
public abstract class VirtioTransportDriver(MmioBus bus)
{
    public const byte Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8, NeedsReset = 0x40;

    public abstract byte Status { get; set; }

    public abstract uint Generation { get; }

    public abstract ulong OfferedFeatures { get; }

    public abstract ulong ConfigAddress { get; }

    public abstract void SetFeatures(ulong features);

    /// <summary>The largest size; 0 for a queue that does not exist.</summary>
    public abstract ushort GetMaxSize(int queue);

    public abstract void SetUpQueue(int queue, DriverQueue driver);

    public abstract bool IsEnabled(int queue);

    public abstract void ResetQueue(int queue);

    /// <summary>Where a kick is written, and what.</summary>
    public abstract (ulong Address, uint Length, uint Value) GetNotification(int queue);

    /// <summary>Everything up to and including FEATURES_OK. False: the device refused.</summary>
    public bool Negotiate(ulong features)
    {
        Status = 0;
        Status = Acknowledge;
        Status = Acknowledge | Driver;
        SetFeatures(features);
        Status = Acknowledge | Driver | FeaturesOk;
        return (Status & FeaturesOk) != 0;
    }

    public void SetDriverOk() => Status = Acknowledge | Driver | FeaturesOk | DriverOk;

    /// <summary>A kick that reaches the register, as if there were no doorbell.</summary>
    public void KickByExit(int queue)
    {
        (ulong address, uint length, uint value) = GetNotification(queue);
        Write(address, value, (int)length);
    }

    public uint Read(ulong address, int length)
    {
        Span<byte> data = stackalloc byte[4];
        data.Clear();
        bus.Read(address, data[..length]);
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    public void Write(ulong address, uint value, int length)
    {
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        bus.Write(address, data[..length]);
    }
}
