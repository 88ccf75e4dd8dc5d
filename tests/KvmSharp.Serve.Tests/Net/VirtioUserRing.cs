namespace KvmSharp.Serve.Tests.Net;

/// <summary>What a port of DPDK's <c>net_virtio_user</c> is asked for; together they decide which of its ring paths it takes.</summary>
public sealed record VirtioUserRing(bool Packed, bool Mergeable, bool InOrder, bool Vectorized)
{
    /// <summary>Every combination.</summary>
    public static IReadOnlyList<VirtioUserRing> All { get; } =
        [.. Enumerable.Range(0, 16).Select(i => new VirtioUserRing((i & 8) != 0, (i & 4) != 0, (i & 2) != 0, (i & 1) != 0))];

    public override string ToString() =>
        $"packed_vq={(Packed ? 1 : 0)},mrg_rxbuf={(Mergeable ? 1 : 0)},in_order={(InOrder ? 1 : 0)},vectorized={(Vectorized ? 1 : 0)}";
}
