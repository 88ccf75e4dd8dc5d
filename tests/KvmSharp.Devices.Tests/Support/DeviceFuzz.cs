using KvmSharp.Core.Buses;

namespace KvmSharp.Devices.Tests.Support;

/// <summary>Hostile accesses: every width, every offset, random values; a device may refuse but never throw.</summary>
internal static class DeviceFuzz
{
    internal const int Accesses = 20_000;

    internal static void Pio(IPioDevice device, int portCount, int seed, int accesses = Accesses)
    {
        var random = new Random(seed);
        Span<byte> data = stackalloc byte[4];
        for (int i = 0; i < accesses; i++)
        {
            int width = 1 << random.Next(3);
            if (width > portCount)
                width = 1;
            ushort offset = (ushort)random.Next(portCount - width + 1);
            random.NextBytes(data);
            BusStatus status = random.Next(2) == 0 ? device.In(offset, data[..width]) : device.Out(offset, data[..width]);
            Assert.True(Enum.IsDefined(status), $"seed {seed}");
        }
    }

    internal static void Mmio(IMmioDevice device, ulong length, int seed, int accesses = Accesses)
    {
        var random = new Random(seed);
        Span<byte> data = stackalloc byte[8];
        for (int i = 0; i < accesses; i++)
        {
            int width = random.Next(1, 9);
            ulong offset = (ulong)random.NextInt64((long)length - width + 1);
            random.NextBytes(data);
            BusStatus status = random.Next(2) == 0 ? device.Read(offset, data[..width]) : device.Write(offset, data[..width]);
            Assert.True(Enum.IsDefined(status), $"seed {seed}");
        }
    }
}
