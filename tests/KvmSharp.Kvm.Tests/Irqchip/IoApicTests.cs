using KvmSharp.Core.Buses;
using KvmSharp.Kvm.Irqchip;

namespace KvmSharp.Kvm.Tests.Irqchip;

public sealed class IoApicTests
{
    private const uint Masked = 1 << 16, Level = 1 << 15;

    private readonly Output _output = new();
    private readonly IoApic _ioApic;

    public IoApicTests() => _ioApic = new IoApic(_output);

    [Fact]
    public void Read_Version_Tells24Inputs() => Assert.Equal(0x0017_0020u, Get(1));

    [Fact]
    public void Read_AfterReset_EveryInputIsMasked()
    {
        Set(0x10 + 2 * 7, 0x30);

        _ioApic.Reset();

        Assert.Equal(Masked, Get(0x10 + 2 * 7));
    }

    [Fact]
    public void SetLevel_MaskedEdge_IsLost()
    {
        _ioApic.GetLine(5).SetLevel(true);
        Set(0x1A, 0x30);

        Assert.Empty(_output.Sent);
    }

    [Fact]
    public void SetLevel_MaskedLevel_FiresWhenUnmasked()
    {
        Set(0x1A, 0x30 | Level | Masked);
        _ioApic.GetLine(5).SetLevel(true);
        Assert.Empty(_output.Sent);

        Set(0x1A, 0x30 | Level);

        Assert.Equal([(0xFEE0_0000UL, 0xC030u)], _output.Sent);
    }

    [Fact]
    public void SetLevel_Destination_IsInTheAddress()
    {
        Set(0x1B, 0x0500_0000);
        Set(0x1A, 0x31 | (1 << 11) | (1 << 8));

        _ioApic.GetLine(5).SetLevel(true);

        Assert.Equal([(0xFEE0_5000UL | (1 << 2) | (1 << 3), 0x4131u)], _output.Sent);
    }

    [Fact]
    public void EndOfInterrupt_StillAsserted_FiresAgain()
    {
        Set(0x1A, 0x30 | Level);
        _ioApic.GetLine(5).SetLevel(true);
        _ioApic.GetLine(5).SetLevel(false);
        _ioApic.GetLine(5).SetLevel(true);
        Assert.Single(_output.Sent);

        _ioApic.EndOfInterrupt(0x30);
        Assert.Equal(2, _output.Sent.Count);
        _ioApic.GetLine(5).SetLevel(false);
        _ioApic.EndOfInterrupt(0x30);

        Assert.Equal(2, _output.Sent.Count);
        Assert.Equal(0u, Get(0x1A) & (1 << 14));
    }

    [Fact]
    public void Write_EoiRegister_EndsInterrupt()
    {
        Set(0x1A, 0x30 | Level);
        _ioApic.GetLine(5).SetLevel(true);
        Assert.NotEqual(0u, Get(0x1A) & (1 << 14));

        _ioApic.Write(0x40, [0x30, 0, 0, 0]);

        Assert.Equal(2, _output.Sent.Count);
    }

    [Fact]
    public void Write_SwitchToEdge_ClearsRemoteIrr()
    {
        Set(0x1A, 0x30 | Level);
        _ioApic.GetLine(5).SetLevel(true);

        Set(0x1A, 0x30 | Masked);

        Assert.Equal(0x30 | Masked, Get(0x1A));
    }

    [Fact]
    public void Write_ReadOnlyBits_AreIgnored()
    {
        Set(0x1A, Masked | (1 << 12) | (1 << 14) | Level);

        Assert.Equal(Masked | Level, Get(0x1A));
    }

    [Fact]
    public void Access_WrongSizesAndOffsets_AreRefused()
    {
        Assert.Equal(BusStatus.BadSize, _ioApic.Read(0x10, new byte[8]));
        Assert.Equal(BusStatus.NoRegister, _ioApic.Read(0x20, new byte[4]));
        Assert.Equal(BusStatus.BadSize, _ioApic.Write(0x10, [1]));
        Assert.Equal(BusStatus.NoRegister, _ioApic.Write(0x30, [1, 0, 0, 0]));
        Assert.Equal(0xFFFF_FFFFu, Get(0x40));
        Set(0x40, 5);
    }

    private uint Get(byte register)
    {
        byte[] data = new byte[4];
        _ioApic.Write(0, [register]);
        Assert.Equal(BusStatus.Ok, _ioApic.Read(0x10, data));
        return BitConverter.ToUInt32(data);
    }

    private void Set(byte register, uint value)
    {
        _ioApic.Write(0, [register]);
        Assert.Equal(BusStatus.Ok, _ioApic.Write(0x10, BitConverter.GetBytes(value)));
    }

    private sealed class Output : IIoApicOutput
    {
        internal List<(ulong Address, uint Data)> Sent { get; } = [];

        public void Send(ulong address, uint data) => Sent.Add((address, data));

        public void SetRoute(uint pin, ulong address, uint data)
        {
        }
    }
}
