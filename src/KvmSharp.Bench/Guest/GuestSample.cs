using KvmSharp.Bench.Counters;

namespace KvmSharp.Bench.Guest;

/// <summary>What one workload of one boot came to.</summary>
/// <param name="Rate">In the work's unit.</param>
/// <param name="Operations">Packets through the tap, or reads; 0 where nobody counted.</param>
/// <param name="Exits">What is known of them.</param>
/// <param name="Cpu">What the VMM's threads used meanwhile; 0 where nobody counted.</param>
internal sealed record GuestSample(GuestPath Path, GuestWork Work, double Rate, long Operations, ExitCounts Exits, CpuTimes Cpu);
