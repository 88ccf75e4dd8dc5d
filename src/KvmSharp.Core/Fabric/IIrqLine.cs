namespace KvmSharp.Core.Fabric;

/// <summary>A level-triggered interrupt input (a GSI). Asserting an asserted line does nothing. Thread-safe.</summary>
public interface IIrqLine
{
    uint Gsi { get; }

    void SetLevel(bool asserted);
}
