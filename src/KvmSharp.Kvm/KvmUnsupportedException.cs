namespace KvmSharp.Kvm;

/// <summary>This host's KVM lacks something the machine needs. The message is one line: what is missing, by its kernel name, and what it is for.</summary>
public sealed class KvmUnsupportedException : Exception
{
    public KvmUnsupportedException(string message, string? capability = null)
        : base(message) => Capability = capability;

    /// <summary>The kernel's name of the missing capability (KVM_CAP_...), or null when it is the API as a whole.</summary>
    public string? Capability { get; }
}
