namespace KvmSharp.Bench.Tests;

/// <summary>A fact that needs a program; skipped on hosts that lack it.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal class ProgramFactAttribute : FactAttribute
{
    protected ProgramFactAttribute(string program)
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        if (!folders.Any(f => File.Exists(Path.Combine(f, program))))
            Skip = $"{program} is not installed";
    }
}

/// <inheritdoc/>
internal sealed class QemuFactAttribute() : ProgramFactAttribute("qemu-system-x86_64");

/// <inheritdoc/>
internal sealed class ChromiumFactAttribute() : ProgramFactAttribute("chromium");
