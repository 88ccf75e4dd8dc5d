namespace KvmSharp.Machine.Config;

/// <summary>What a guest sees of a network interface.</summary>
public enum NetModel
{
    /// <summary>virtio-net.</summary>
    Virtio,

    /// <summary>An Intel 82540EM.</summary>
    E1000,
}
