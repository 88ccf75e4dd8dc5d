using System.Globalization;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench;

/// <summary>What figures of this host depend on, read from /proc and /sys. What cannot be read is left out.</summary>
public static class HostFacts
{
    public static List<Fact> Read()
    {
        List<Fact> facts = [new("date", DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) + " UTC")];
        string[] processor = Lines("/proc/cpuinfo");
        Add(facts, "processor", processor.FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1]);
        facts.Add(new("cpus", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)));
        string[] flags = processor.FirstOrDefault(l => l.StartsWith("flags", StringComparison.Ordinal))?.Split(' ') ?? [];
        facts.Add(new("kvm", (flags.Any(f => f is "vmx" or "svm"), flags.Contains("hypervisor")) switch
        {
            (true, false) => "on virtualization hardware",
            (true, true) => "on virtualization that another hypervisor offers",
            _ => "not backed by virtualization hardware",
        }));
        Add(facts, "kernel", Lines("/proc/sys/kernel/osrelease").FirstOrDefault());
        Add(facts, "load", Lines("/proc/loadavg").FirstOrDefault()?.Split(' ')[0]);
        Add(facts, "governor", Lines("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").FirstOrDefault());
        return facts;
    }

    private static void Add(List<Fact> facts, string name, string? value)
    {
        if (!string.IsNullOrWhiteSpace(value))
            facts.Add(new(name, value.Trim()));
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
