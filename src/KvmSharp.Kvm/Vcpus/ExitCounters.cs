namespace KvmSharp.Kvm.Vcpus;

/// <summary>How often one vCPU left KVM_RUN, by KVM_EXIT_* reason. Written by the vCPU's thread alone without locks; any thread may read.</summary>
public sealed class ExitCounters
{
    /// <summary>Reasons 0 to this less one are counted apart; higher ones together in the last.</summary>
    public const int ReasonCount = 64;

    private readonly long[] _counts = new long[ReasonCount];

    /// <summary>The count of one reason so far.</summary>
    public long this[uint reason] => Volatile.Read(ref _counts[Math.Min(reason, ReasonCount - 1)]);

    /// <summary>All exits so far.</summary>
    public long Total
    {
        get
        {
            long total = 0;
            for (int i = 0; i < ReasonCount; i++)
                total += Volatile.Read(ref _counts[i]);
            return total;
        }
    }

    /// <summary>Copies up to <see cref="ReasonCount"/> counts; index is the reason. Each count is exact, the set is not one instant.</summary>
    public void CopyTo(Span<long> into)
    {
        int count = Math.Min(into.Length, ReasonCount);
        for (int i = 0; i < count; i++)
            into[i] = Volatile.Read(ref _counts[i]);
    }

    internal void Increment(uint reason)
    {
        ref long count = ref _counts[Math.Min(reason, ReasonCount - 1)];

        // Single writer: a plain add, published whole.
        Volatile.Write(ref count, count + 1);
    }
}
