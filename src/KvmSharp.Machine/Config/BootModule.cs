namespace KvmSharp.Machine.Config;

/// <summary>A file handed to the kernel beside itself, with a command line of its own.</summary>
public sealed record BootModule(string Path, string Args = "");
