using System.Buffers.Binary;
using KvmSharp.Core.Buses;

namespace KvmSharp.Devices.Tests.Support;

/// <summary>Register accesses spelled shortly.</summary>
internal static class PioAccess
{
    internal static byte In8(this IPioDevice device, int offset)
    {
        Span<byte> data = stackalloc byte[1];
        Assert.Equal(BusStatus.Ok, device.In((ushort)offset, data));
        return data[0];
    }

    internal static ushort In16(this IPioDevice device, int offset)
    {
        Span<byte> data = stackalloc byte[2];
        Assert.Equal(BusStatus.Ok, device.In((ushort)offset, data));
        return BinaryPrimitives.ReadUInt16LittleEndian(data);
    }

    internal static uint In32(this IPioDevice device, int offset)
    {
        Span<byte> data = stackalloc byte[4];
        Assert.Equal(BusStatus.Ok, device.In((ushort)offset, data));
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    internal static void Out8(this IPioDevice device, int offset, int value) =>
        Assert.Equal(BusStatus.Ok, device.Out((ushort)offset, [(byte)value]));

    internal static void Out16(this IPioDevice device, int offset, int value)
    {
        Span<byte> data = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(data, (ushort)value);
        Assert.Equal(BusStatus.Ok, device.Out((ushort)offset, data));
    }

    internal static void Out32(this IPioDevice device, int offset, uint value)
    {
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        Assert.Equal(BusStatus.Ok, device.Out((ushort)offset, data));
    }
}
