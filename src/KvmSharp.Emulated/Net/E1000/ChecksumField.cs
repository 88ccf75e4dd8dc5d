namespace KvmSharp.Emulated.Net.E1000;

/// <summary>A checksum that the controller inserts. Offsets in bytes from the start of the frame as the driver gave it.</summary>
/// <param name="Start">First byte that it covers (CSS).</param>
/// <param name="At">Where it goes (CSO).</param>
/// <param name="Last">Last byte that it covers (CSE); 0: the frame's.</param>
internal readonly record struct ChecksumField(int Start, int At, int Last)
{
    /// <summary>One past the last byte covered, within a frame of that length.</summary>
    public int End(int length) => Last == 0 || Last >= length ? length : Last + 1;

    /// <summary>False where the offsets make no sense in a frame of that length: nothing is inserted then.</summary>
    public bool Fits(int length) => Start < End(length) && At + 2 <= length;
}
