namespace KvmSharp.Fuzz.Targets;

/// <summary>Guest memory of the targets: small, so that lengths and addresses soon go past its end, where nothing is mapped.</summary>
internal static class FuzzGuest
{
    internal const ulong Bytes = 0x10_0000;

    /// <summary>Rings, one after the other.</summary>
    internal const ulong Rings = 0x1_0000;

    /// <summary>Buffers up to the end.</summary>
    internal const ulong Data = 0x8_0000;
}
