using System.Globalization;

namespace KvmSharp.Fuzz.Engine;

/// <summary>What this process holds, to be compared between batches of inputs.</summary>
/// <param name="Descriptors">Open file descriptors.</param>
/// <param name="Threads">Threads of the process.</param>
/// <param name="ManagedBytes">Live after a full collection.</param>
/// <param name="ResidentBytes">Resident memory, native memory included.</param>
internal readonly record struct ProcessGauge(int Descriptors, int Threads, long ManagedBytes, long ResidentBytes)
{
    private const int DescriptorSlack = 4, ThreadSlack = 4;
    private const long ManagedSlack = 8 << 20, ResidentSlack = 64 << 20;

    internal static ProcessGauge Read()
    {
        long managed = GC.GetTotalMemory(forceFullCollection: true);
        string resident = File.ReadAllText("/proc/self/statm").Split(' ')[1];
        return new ProcessGauge(
            Directory.GetFileSystemEntries("/proc/self/fd").Length, Directory.GetFileSystemEntries("/proc/self/task").Length,
            managed, long.Parse(resident, CultureInfo.InvariantCulture) * Environment.SystemPageSize);
    }

    /// <summary>What has grown beyond what chance explains; null if nothing.</summary>
    internal string? GrowthSince(in ProcessGauge before) =>
        Descriptors > before.Descriptors + DescriptorSlack ? $"descriptors grew from {before.Descriptors} to {Descriptors}"
        : Threads > before.Threads + ThreadSlack ? $"threads grew from {before.Threads} to {Threads}"
        : ManagedBytes > before.ManagedBytes + ManagedSlack ? $"the managed heap grew from {before.ManagedBytes >> 10} to {ManagedBytes >> 10} KiB"
        : ResidentBytes > before.ResidentBytes + ResidentSlack ? $"resident memory grew from {before.ResidentBytes >> 20} to {ResidentBytes >> 20} MiB"
        : null;
}
