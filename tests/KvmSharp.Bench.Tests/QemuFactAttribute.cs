namespace KvmSharp.Bench.Tests;

/// <summary>A fact that needs QEMU; skipped on hosts that have none.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class QemuFactAttribute : FactAttribute
{
    private const string Program = "qemu-system-x86_64";

    public QemuFactAttribute()
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        if (!folders.Any(f => File.Exists(Path.Combine(f, Program))))
            Skip = $"{Program} is not installed";
    }
}
