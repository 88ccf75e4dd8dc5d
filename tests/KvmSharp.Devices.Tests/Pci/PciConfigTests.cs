using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Pci;

namespace KvmSharp.Devices.Tests.Pci;

public sealed class PciConfigTests : IDisposable
{
    private static readonly Bdf Slot = new(0, 3);
    private readonly PciTestBed _bed = new();

    public void Dispose() => _bed.Dispose();

    [Fact]
    public void Header_Type0_EachRegister()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        Assert.Equal(0x1042_1AF4u, _bed.Read(Slot, 0x00));
        Assert.Equal(0x0100_0001u, _bed.Read(Slot, 0x08));
        Assert.Equal(0x00u, _bed.Read(Slot, 0x0E, 1));
        Assert.Equal(0x0040_1AF4u, _bed.Read(Slot, 0x2C));
        Assert.Equal(0x1042u, _bed.Read(Slot, 0x02, 2));
        Assert.Equal(0x10u, _bed.Read(Slot, 0x03, 1));
    }

    [Fact]
    public void Header_ReadOnlyRegisters_KeepTheirValues()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        for (int register = 0; register < 0x10; register += 4)
            _bed.Write(Slot, register, 0xFFFF_FFFF);
        Assert.Equal(0x1042_1AF4u, _bed.Read(Slot, 0x00));
        Assert.Equal(0x0547u, _bed.Read(Slot, 0x04, 2));
        Assert.Equal(0x0000_FFFFu, _bed.Read(Slot, 0x0C));
        _bed.Write(Slot, 0x3C, 0xFFFF_FFFF);
        Assert.Equal(0x0000_00FFu, _bed.Read(Slot, 0x3C));
    }

    [Fact]
    public void Status_ErrorBits_ClearedByWritingOnes()
    {
        PciEndpoint endpoint = PciTestBed.NewEndpoint();
        _bed.Root.Attach(Slot, endpoint);
        endpoint.Config.Set16(PciRegisters.Status, 0x3000);
        _bed.Write(Slot, 0x06, 0x1000, 2);
        Assert.Equal(0x2000u, _bed.Read(Slot, 0x06, 2));
    }

    [Fact]
    public void ConfigRead_AbsentFunctionBusOrDisabled_AllOnes()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        Assert.Equal(0xFFFF_FFFFu, _bed.Read(new Bdf(0, 4), 0));
        Assert.Equal(0xFFFF_FFFFu, _bed.Read(new Bdf(0, 3, 1), 0));
        Assert.Equal(0xFFFF_FFFFu, _bed.Read(new Bdf(7, 3), 0));
        Assert.Equal(0xFFFF_FFFFu, _bed.ReadEcam(new Bdf(1, 3), 0));
        byte[] data = new byte[4];
        _bed.Pio.Out(0xCF8, BitConverter.GetBytes(0x0000_1800u));
        _bed.Pio.In(0xCFC, data);
        Assert.Equal(0xFFFF_FFFFu, BitConverter.ToUInt32(data));
    }

    [Fact]
    public void ConfigAddress_Dword_ReadsBackWithoutReservedBits()
    {
        byte[] data = new byte[4];
        _bed.Pio.Out(0xCF8, BitConverter.GetBytes(0xFFFF_FFFFu));
        _bed.Pio.In(0xCF8, data);
        Assert.Equal(0x80FF_FFFCu, BitConverter.ToUInt32(data));
    }

    [Fact]
    public void Port0xCF9_ByteWrite_ResetsAndLeavesAddressAlone()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        _bed.Read(Slot, 0);
        _bed.Pio.Out(0xCF9, [0x06]);
        Assert.Equal([MachineRequest.Reset], _bed.Machine.Requests);
        byte[] data = new byte[4];
        _bed.Pio.In(0xCFC, data);
        Assert.Equal(0x1042_1AF4u, BitConverter.ToUInt32(data));
    }

    [Fact]
    public void Ecam_SameRegistersAndExtendedSpace()
    {
        PciEndpoint endpoint = PciTestBed.NewEndpoint(express: true);
        _bed.Root.Attach(Slot, endpoint);
        endpoint.Config.Set32(0x100, 0x1234_5678);
        Assert.Equal(0x1042_1AF4u, _bed.ReadEcam(Slot, 0));
        Assert.Equal(0x1234_5678u, _bed.ReadEcam(Slot, 0x100));
        _bed.WriteEcam(Slot, 0x3C, 0x5A, 1);
        Assert.Equal(0x5Au, _bed.Read(Slot, 0x3C, 1));
        Assert.Equal(0x10u, _bed.ReadEcam(Slot, (int)_bed.ReadEcam(Slot, 0x34, 1), 1));
    }

    [Fact]
    public void Ecam_ConventionalFunction_ExtendedSpaceAllOnes()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        Assert.Equal(0xFFFF_FFFFu, _bed.ReadEcam(Slot, 0x100));
    }

    [Fact]
    public void Capabilities_Several_LinkedInOrder()
    {
        var config = new PciConfigSpace();
        int first = config.AddCapability(0x09, 0x13);
        int second = config.AddCapability(0x11, 12);
        Assert.Equal(0x40, first);
        Assert.Equal(0x54, second);
        Assert.Equal(first, config.Get8(0x34));
        Assert.Equal(second, config.Get8(first + 1));
        Assert.Equal(0, config.Get8(second + 1));
        Assert.Equal(0x10, config.Get16(0x06) & 0x10);
        Assert.Throws<InvalidOperationException>(() => config.AddCapability(0x09, 200));
    }

    [Fact]
    public void HeaderType_SecondFunctionAttached_MultiFunctionBit()
    {
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
        _bed.Root.Attach(new Bdf(0, 3, 2), PciTestBed.NewEndpoint("other"));
        Assert.Equal(0x80u, _bed.Read(Slot, 0x0E, 1));
        Assert.Equal(0x0080_0000u, _bed.Read(Slot, 0x0C));
        Assert.Equal(0x00u, _bed.Read(new Bdf(0, 3, 2), 0x0E, 1));
    }

    [Fact]
    public void Attach_PlaceTaken_Throws()
    {
        _bed.Root.Attach(PciHostBridge.Address, PciHostBridge.Create());
        Assert.Throws<ArgumentException>(() => _bed.Root.Attach(PciHostBridge.Address, PciTestBed.NewEndpoint()));
        Assert.Equal(new Bdf(0, 1), _bed.Root.Attach(PciTestBed.NewEndpoint()));
        Assert.Equal(new Bdf(0, 2), _bed.Root.Attach(PciTestBed.NewEndpoint()));
        Assert.Equal(0x0600_0000u, _bed.Read(PciHostBridge.Address, 8));
    }

    [Fact]
    public void Detach_Function_GoneFromConfigAndBuses()
    {
        PciEndpoint endpoint = PciTestBed.NewEndpoint();
        endpoint.AddBar(new PciBar(0, PciBarKind.Memory32, 0x1000, new Support.RecordingDevice(1)));
        _bed.Root.Attach(Slot, endpoint);
        int before = _bed.Mmio.Ranges.Length;
        _bed.Root.Detach(endpoint);
        Assert.Equal(0xFFFF_FFFFu, _bed.Read(Slot, 0));
        Assert.Equal(before - 1, _bed.Mmio.Ranges.Length);
        _bed.Root.Attach(Slot, PciTestBed.NewEndpoint());
    }

    [Fact]
    public void Hook_ReadsAndWrites_SeenWithOffsets()
    {
        var hook = new Hook();
        PciEndpoint endpoint = PciTestBed.NewEndpoint(hook: hook);
        _bed.Root.Attach(Slot, endpoint);
        _bed.Read(Slot, 0x40);
        _bed.Write(Slot, 0x42, 0x12, 2);
        Assert.Equal(["r4@64", "w2@66"], hook.Log);
    }

    [Fact]
    public void Fuzz_RandomConfiguration_NeverThrows()
    {
        var random = new Random(21);
        for (int i = 0; i < 4; i++)
        {
            PciEndpoint endpoint = PciTestBed.NewEndpoint($"d{i}", express: i % 2 == 0);
            var msix = new MsixTable(_bed.Interrupts, 3);
            endpoint.AddBar(new PciBar(0, PciBarKind.Memory64, 0x1000, new PciBarRegions().Add(0, 48, msix.Table).Add(64, 8, msix.PendingBits)));
            endpoint.AddBar(new PciBar(2, PciBarKind.Memory32, 0x2000, new Support.RecordingDevice(1) { Quiet = true }));
            endpoint.AddBar(new PciBar(3, 0x20, new Support.RecordingDevice(2) { Quiet = true }));
            endpoint.AddMsix(msix, 0, 0, 64);
            endpoint.AddIntx(1 + i);
            _bed.Root.Attach(new Bdf(0, i + 1), endpoint);
        }

        byte[] data = new byte[8];
        for (int i = 0; i < 60_000; i++)
        {
            random.NextBytes(data);
            int width = 1 << random.Next(4);
            ulong address = PciTestBed.EcamStart + (ulong)random.Next(1, 5) * 0x8000 + (ulong)random.Next(0, random.Next(2) == 0 ? 0x80 : 0x1000);
            if (random.Next(3) == 0)
                _bed.Mmio.Read(address, data.AsSpan(0, width));
            else
                _bed.Mmio.Write(address, data.AsSpan(0, width));
            if (i % 7 == 0)
                _bed.Pio.Out((ushort)random.Next(0xCF8, 0xD00), data.AsSpan(0, Math.Min(width, 4)));
        }

        _bed.Root.Reset();
        Assert.Equal(0x1042_1AF4u, _bed.Read(new Bdf(0, 1), 0));
    }

    private sealed class Hook : IPciConfigHook
    {
        internal List<string> Log { get; } = [];

        public void BeforeRead(int offset, int length) => Log.Add($"r{length}@{offset}");

        public void AfterWrite(int offset, int length) => Log.Add($"w{length}@{offset}");
    }
}
