using Microsoft.Extensions.Logging;

namespace KvmSharp.Sandbox;

/// <summary>How a program confines itself.</summary>
public sealed record SandboxOptions
{
    /// <summary>Who a program that was started as root becomes: a name or a number.</summary>
    public const string DefaultUser = "nobody";

    /// <summary>Whom to become; null: <see cref="DefaultUser"/> if root, else nobody else.</summary>
    public string? User { get; init; }

    /// <summary>A wall that this host does not permit is an error; otherwise a warning, and the others stand.</summary>
    public bool IsStrict { get; init; }

    public required ILogger Logger { get; init; }
}
