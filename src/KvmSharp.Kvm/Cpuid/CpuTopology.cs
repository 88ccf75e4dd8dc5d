using System.Numerics;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>
/// Sockets, cores in a socket, threads in a core. APIC ids are bit fields (Intel SDM 3A §9.9.3), so with counts that are not powers of
/// two they have gaps: use <see cref="ApicId"/> wherever a processor is named (KVM, MADT, CPUID).
/// </summary>
public sealed record CpuTopology(int Sockets, int Cores, int Threads)
{
    /// <summary>Processors in all.</summary>
    public int Count => Sockets * Cores * Threads;

    /// <summary>Processors in a socket.</summary>
    public int PerSocket => Cores * Threads;

    /// <summary>Bits of the APIC id that number the thread.</summary>
    public int ThreadBits => Bits(Threads);

    /// <summary>Bits below the socket's number.</summary>
    public int SocketShift => ThreadBits + Bits(Cores);

    /// <summary>The APIC id of processor <paramref name="index"/>, threads of a core next to each other.</summary>
    public uint ApicId(int index)
    {
        (int core, int thread) = Math.DivRem(index, Threads);
        (int socket, core) = Math.DivRem(core, Cores);
        return (uint)((socket << SocketShift) | (core << ThreadBits) | thread);
    }

    private static int Bits(int count) => count <= 1 ? 0 : 32 - BitOperations.LeadingZeroCount((uint)(count - 1));
}
