using KvmSharp.Core.Buses;

namespace KvmSharp.Devices.Tests.Support;

/// <summary>Answers reads with its id and remembers accesses, on either bus.</summary>
internal sealed class RecordingDevice(byte id) : IPioDevice, IMmioDevice
{
    internal List<string> Log { get; } = [];

    internal BusStatus Answer { get; set; }

    internal bool Quiet { get; set; }

    internal int Accesses { get; private set; }

    public BusStatus In(ushort offset, Span<byte> data) => Read(offset, data);

    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data) => Write(offset, data);

    public BusStatus Read(ulong offset, Span<byte> data)
    {
        Accesses++;
        data.Fill(id);
        if (!Quiet)
            Log.Add($"r{data.Length}@{offset}");
        return Answer;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        Accesses++;
        if (!Quiet)
            Log.Add($"w{data.Length}@{offset}={Convert.ToHexString(data)}");
        return Answer;
    }
}
