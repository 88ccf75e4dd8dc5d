namespace KvmSharp.Bench;

/// <summary>A benchmark cannot be run to its end on this host. The message is one line for the user.</summary>
public sealed class BenchException(string message) : Exception(message);
