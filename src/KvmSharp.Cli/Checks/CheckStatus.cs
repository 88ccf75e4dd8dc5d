namespace KvmSharp.Cli.Checks;

/// <summary>What a check found.</summary>
internal enum CheckStatus
{
    Ok,

    /// <summary>Absent or limited; guests run without it.</summary>
    Warning,

    /// <summary>Guests cannot run.</summary>
    Missing,
}
