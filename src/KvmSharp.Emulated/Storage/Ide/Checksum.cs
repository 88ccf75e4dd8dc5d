namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>The last byte of the data structures of ATA.</summary>
internal static class Checksum
{
    /// <summary>What makes the sum of all bytes zero, as the last byte, whatever is there now.</summary>
    public static byte Of(ReadOnlySpan<byte> data)
    {
        byte sum = 0;
        foreach (byte value in data[..^1])
            sum += value;
        return (byte)-sum;
    }
}
