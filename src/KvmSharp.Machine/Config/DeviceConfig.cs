namespace KvmSharp.Machine.Config;

/// <summary>A device that the user adds; each kind derives its own record.</summary>
public abstract record DeviceConfig
{
    /// <summary>Names the device in messages; unique in a machine. Null: one is made up.</summary>
    public string? Id { get; init; }

    /// <summary>What of the device leads to character devices of the host.</summary>
    internal virtual IEnumerable<CharUse> Chars => [];
}
