using KvmSharp.Abi;

namespace KvmSharp.Core.Events;

/// <summary>Binds threads to host CPUs.</summary>
public static unsafe class CpuAffinity
{
    /// <summary>CPU numbers go up to this, exclusive (CONFIG_NR_CPUS of distribution kernels).</summary>
    public const int MaxCpus = 8192;

    /// <summary>
    /// Restricts the calling thread to the given host CPUs; an empty list changes nothing. Null on success, else the error, whose
    /// text names the CPUs.
    /// </summary>
    public static LinuxException? TryPinCurrentThread(IReadOnlyList<int> cpus)
    {
        if (cpus.Count == 0)
            return null;
        byte* mask = stackalloc byte[MaxCpus / 8];
        new Span<byte>(mask, MaxCpus / 8).Clear();
        foreach (int cpu in cpus)
        {
            if (cpu is < 0 or >= MaxCpus)
                return new LinuxException($"pin thread to CPU {cpu}", LibcConstants.EINVAL);
            // SAFETY: cpu < MaxCpus, checked above.
            mask[cpu / 8] |= (byte)(1 << (cpu % 8));
        }

        return Libc.sched_setaffinity(0, MaxCpus / 8, mask) == 0
            ? null
            : LinuxException.FromLastError($"pin thread to CPU {string.Join(',', cpus)}");
    }
}
