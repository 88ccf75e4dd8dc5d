namespace KvmSharp.Machine.Config;

/// <summary>One part of an option's value.</summary>
/// <param name="Name">As in <c>key=value</c> and in a file's object.</param>
public sealed record OptionKey(string Name, OptionKeyKind Kind, params string[] Choices);
