namespace KvmSharp.Backends.Block;

/// <summary>Modifiers of a <see cref="BlockRequest"/>.</summary>
[Flags]
public enum BlockRequestFlags : byte
{
    None = 0,

    /// <summary>Write, WriteZeroes: complete only when the data is on stable storage (force unit access).</summary>
    Fua = 1,

    /// <summary>WriteZeroes: the range may be deallocated.</summary>
    MayUnmap = 2,
}
