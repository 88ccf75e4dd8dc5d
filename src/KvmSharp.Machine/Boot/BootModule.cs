namespace KvmSharp.Machine.Boot;

/// <summary>A file the kernel finds in memory.</summary>
/// <param name="Path">The host file.</param>
/// <param name="CommandLine">What the module's own string is (PVH, Multiboot); null gives the path for Multiboot, none for PVH.</param>
public sealed record BootModule(string Path, string? CommandLine = null);
