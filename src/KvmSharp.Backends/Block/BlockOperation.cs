namespace KvmSharp.Backends.Block;

/// <summary>What a <see cref="BlockRequest"/> asks for.</summary>
public enum BlockOperation : byte
{
    Read,
    Write,

    /// <summary>Everything completed before is on stable storage afterwards. No range, no segments.</summary>
    Flush,

    /// <summary>The range's contents are no longer needed. A hint: succeeds where the host cannot do it.</summary>
    Discard,

    /// <summary>The range reads as zeroes afterwards.</summary>
    WriteZeroes,
}
