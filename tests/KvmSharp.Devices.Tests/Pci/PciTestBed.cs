using System.Buffers.Binary;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Pci;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Pci;

/// <summary>A PCI root on two buses, driven as a guest does.</summary>
internal sealed class PciTestBed : IDisposable
{
    internal const ulong EcamStart = 0xE000_0000;
    internal const ulong Window32 = 0xC000_0000;
    internal const ulong Window64 = 0x10_0000_0000;
    internal const ushort WindowIo = 0x1000;

    internal PciTestBed()
    {
        Router = new PciInterruptRouter(Interrupts, 16);
        Root = new PciRoot(Pio, Mmio, new PciWindows
        {
            Memory32Start = Window32,
            Memory32Length = 0x2000_0000,
            Memory64Start = Window64,
            Memory64Length = 0x10_0000_0000,
            IoStart = WindowIo,
            IoLength = 0xF000,
        }, Router, new ResetControl(Machine));
        Pio.Register(PciConfigPorts.FirstPort, PciConfigPorts.PortCount, Root.ConfigPorts, "pci-config");
        Mmio.Register(EcamStart, 2 * PciRoot.EcamBytesPerBus, Root.Ecam, "ecam");
    }

    internal PioBus Pio { get; } = new();

    internal MmioBus Mmio { get; } = new();

    internal FakeInterruptFabric Interrupts { get; } = new();

    internal FakeMachineControl Machine { get; } = new();

    internal PciInterruptRouter Router { get; }

    internal PciRoot Root { get; }

    public void Dispose() => Root.Dispose();

    internal static PciEndpoint NewEndpoint(string name = "dev", bool express = false, IPciConfigHook? hook = null) => new(name, new PciIdentity
    {
        VendorId = 0x1AF4,
        DeviceId = 0x1042,
        Revision = 1,
        BaseClass = 0x01,
        SubsystemVendorId = 0x1AF4,
        SubsystemId = 0x0040,
    }, hook, express);

    internal uint Read(Bdf address, int register, int width = 4)
    {
        byte[] data = new byte[4];
        Pio.Out(0xCF8, Select(address, register));
        Pio.In((ushort)(0xCFC + (register & 3)), data.AsSpan(0, width));
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    internal void Write(Bdf address, int register, uint value, int width = 4)
    {
        Pio.Out(0xCF8, Select(address, register));
        Pio.Out((ushort)(0xCFC + (register & 3)), BitConverter.GetBytes(value).AsSpan(0, width));
    }

    internal uint ReadEcam(Bdf address, int register, int width = 4)
    {
        byte[] data = new byte[4];
        Mmio.Read(EcamStart + ((ulong)address.Value << 12) + (uint)register, data.AsSpan(0, width));
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    internal void WriteEcam(Bdf address, int register, uint value, int width = 4) =>
        Mmio.Write(EcamStart + ((ulong)address.Value << 12) + (uint)register, BitConverter.GetBytes(value).AsSpan(0, width));

    private static byte[] Select(Bdf address, int register) =>
        BitConverter.GetBytes(0x8000_0000u | ((uint)address.Value << 8) | (uint)(register & 0xFC));
}
