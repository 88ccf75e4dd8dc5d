using KvmSharp.Core.Fabric;

namespace KvmSharp.TestKit.Fakes;

/// <summary>A level line that remembers its level and how often it rose. Thread-safe.</summary>
public sealed class FakeIrqLine(uint gsi = 0) : IIrqLine
{
    private readonly Lock _sync = new();

    public uint Gsi { get; } = gsi;

    public bool Level { get; private set; }

    public int RisingEdges { get; private set; }

    public int Changes { get; private set; }

    public void SetLevel(bool asserted)
    {
        lock (_sync)
        {
            if (Level == asserted)
                return;
            Level = asserted;
            Changes++;
            if (asserted)
                RisingEdges++;
        }
    }
}
