using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.TestKit.Fakes;

/// <summary>Hands out <see cref="FakeIrqLine"/>s (one per GSI) and <see cref="FakeMsiVector"/>s and remembers them.</summary>
public sealed class FakeInterruptFabric : IInterruptFabric
{
    private readonly Dictionary<uint, FakeIrqLine> _lines = [];

    public List<FakeMsiVector> Vectors { get; } = [];

    public FakeIrqLine Line(uint gsi)
    {
        if (!_lines.TryGetValue(gsi, out FakeIrqLine? line))
            _lines[gsi] = line = new FakeIrqLine(gsi);
        return line;
    }

    public IIrqLine GetLine(uint gsi) => Line(gsi);

    /// <summary>Messages that were sent without a vector.</summary>
    public List<(ulong Address, uint Data)> SentMessages { get; } = [];

    public bool SendMsi(ulong address, uint data)
    {
        lock (SentMessages)
            SentMessages.Add((address, data));
        return true;
    }

    /// <summary>Whether lines can be resampled.</summary>
    public bool Resamples { get; init; }

    /// <summary>What was attached and not yet detached, by GSI.</summary>
    public Dictionary<uint, FakeResampledInput> Resampled { get; } = [];

    public IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered)
    {
        if (!Resamples)
            return null;
        Resampled.Add(gsi, new FakeResampledInput(trigger, lowered));
        return new Detachment(this, gsi);
    }

    public IMsiVector AllocateMsi()
    {
        var vector = new FakeMsiVector();
        Vectors.Add(vector);
        return vector;
    }

    private sealed class Detachment(FakeInterruptFabric fabric, uint gsi) : IDisposable
    {
        public void Dispose() => fabric.Resampled.Remove(gsi);
    }
}
