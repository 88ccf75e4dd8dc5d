using KvmSharp.Bench.Counters;

namespace KvmSharp.Bench.Report;

/// <summary>What the operations of one workload cost in one round.</summary>
/// <param name="Exits">What is known of them.</param>
/// <param name="Cpu">What the VMM's threads used.</param>
/// <param name="Operations">How many there were; 0 where nobody counted.</param>
internal sealed record RoundCost(ExitCounts Exits, CpuTimes Cpu, long Operations);
