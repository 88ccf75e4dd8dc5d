namespace KvmSharp.Bench.Paths;

/// <summary>Whose devices a boot of the bench guest has. A boot has one kind: the same disk image and tap serve both, and an idle device disturbs nobody.</summary>
internal enum PathModel
{
    /// <summary>IDE and e1000.</summary>
    Emulated,
    Virtio,
}
