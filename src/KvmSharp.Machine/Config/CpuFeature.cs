namespace KvmSharp.Machine.Config;

/// <summary>One CPUID feature switched on or off over the model; a later one of the same name wins.</summary>
/// <param name="Name">As in /proc/cpuinfo, lower case: <c>avx2</c>, <c>x2apic</c>.</param>
public sealed record CpuFeature(string Name, bool Enabled)
{
    public override string ToString() => (Enabled ? "+" : "-") + Name;
}
