namespace KvmSharp.Machine.Boot;

/// <summary>The processor mode of the first instruction.</summary>
public enum BootMode
{
    /// <summary>64-bit mode, paging on, identity mapped.</summary>
    Long64,

    /// <summary>32-bit protected mode, flat segments, paging off.</summary>
    Protected32,
}
