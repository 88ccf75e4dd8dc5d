using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// The counters of §13.7 that mean something without a wire. The loop counts up for ever; a read gives what came since the last one.
/// </summary>
internal sealed class Statistics
{
    private const uint MPC = 0x4010, PRC64 = 0x405C, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407C, GPTC = 0x4080, GORCL = 0x4088, GOTCL = 0x4090,
        ROC = 0x40AC, TORL = 0x40C0, TOTL = 0x40C8, TPR = 0x40D0, TPT = 0x40D4, PTC64 = 0x40D8, MPTC = 0x40F0, BPTC = 0x40F4, TSCTC = 0x40F8;

    private const int Count = (int)(StatisticsEnd - StatisticsStart) / 4;

    private readonly ulong[] _totals = new ulong[Count];
    private readonly ulong[] _read = new ulong[Count];

    /// <summary>A guest's read, which clears. Octet counters are a pair, cleared by reading the upper half; 32-bit ones stick at their end.</summary>
    public uint Read(uint offset)
    {
        if (offset - 4 is GORCL or GOTCL or TORL or TOTL)
            return (uint)(Take(offset - 4) >> 32);
        if (offset is GORCL or GOTCL or TORL or TOTL)
            return (uint)(Volatile.Read(ref _totals[Index(offset)]) - _read[Index(offset)]);
        return (uint)Math.Min(Take(offset), uint.MaxValue);
    }

    public void Reset()
    {
        for (int i = 0; i < Count; i++)
            _read[i] = Volatile.Read(ref _totals[i]);
    }

    /// <summary>A frame, or one that was cut into several, went out. Lengths in bytes, without check sequence. Loop thread.</summary>
    public void Sent(byte firstByte, bool broadcast, int frames, long bytes)
    {
        Add(GPTC, (ulong)frames);
        Add(TPT, (ulong)frames);
        Add(GOTCL, (ulong)bytes);
        Add(TOTL, (ulong)bytes);
        Add(Bin(PTC64, (int)(bytes / frames)), (ulong)frames);
        if ((firstByte & 1) != 0)
            Add(broadcast ? BPTC : MPTC, (ulong)frames);
        if (frames > 1)
            Add(TSCTC, 1);
    }

    /// <inheritdoc cref="Sent"/>
    public void Received(byte firstByte, bool broadcast, int length)
    {
        Add(GPRC, 1);
        Add(TPR, 1);
        Add(GORCL, (ulong)length);
        Add(TORL, (ulong)length);
        Add(Bin(PRC64, length), 1);
        if ((firstByte & 1) != 0)
            Add(broadcast ? BPRC : MPRC, 1);
    }

    /// <summary>A frame was longer than the driver allows. Loop thread.</summary>
    public void Oversized() => Add(ROC, 1);

    /// <summary>A frame needs more than the whole ring. Loop thread.</summary>
    public void Missed() => Add(MPC, 1);

    /// <summary>The six registers by length are in order: 64 bytes with check sequence, then up to 127, 255, 511, 1023 and longer.</summary>
    private static uint Bin(uint first, int length) => first + (4 * (length + 4) switch
    {
        <= 64 => 0u,
        <= 127 => 1,
        <= 255 => 2,
        <= 511 => 3,
        <= 1023 => 4,
        _ => 5,
    });

    private static int Index(uint offset) => (int)(offset - StatisticsStart) / 4;

    private void Add(uint offset, ulong count)
    {
        ref ulong total = ref _totals[Index(offset)];
        Volatile.Write(ref total, total + count);
    }

    private ulong Take(uint offset)
    {
        ulong total = Volatile.Read(ref _totals[Index(offset)]);
        ulong since = total - _read[Index(offset)];
        _read[Index(offset)] = total;
        return since;
    }
}
