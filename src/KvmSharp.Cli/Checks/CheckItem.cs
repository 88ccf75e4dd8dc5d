namespace KvmSharp.Cli.Checks;

/// <summary>One line of <c>kvmsharp check</c>.</summary>
/// <param name="Detail">What was found.</param>
/// <param name="Fix">What to do about it; null when there is nothing to do.</param>
internal sealed record CheckItem(string Name, CheckStatus Status, string Detail, string? Fix = null);
