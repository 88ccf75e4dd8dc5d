using KvmSharp.Serve.Net;

namespace KvmSharp.Serve.Tests.Net;

public sealed class MacTableTests
{
    private readonly MacTable _table = new();

    [Fact]
    public void TryFind_StationThatMoved_IsWhereItWasSeenLast()
    {
        _table.Learn(0x5200_0000_0001, 1, now: 0);
        _table.Learn(0x5200_0000_0001, 2, now: 0);
        Assert.True(_table.TryFind(0x5200_0000_0001, now: 0, out ushort port));
        Assert.Equal(2, port);
    }

    [Fact]
    public void TryFind_SilentStation_IsForgotten()
    {
        _table.Learn(0x5200_0000_0001, 1, now: 10);
        Assert.True(_table.TryFind(0x5200_0000_0001, now: 10 + MacTable.AgeLimit - 1, out _));
        Assert.False(_table.TryFind(0x5200_0000_0001, now: 10 + MacTable.AgeLimit, out _));
    }

    [Fact]
    public void Learn_MoreStationsThanItHolds_KeepsTheNewest()
    {
        for (uint i = 0; i < 10 * MacTable.Capacity; i++)
            _table.Learn(0x5200_0000_0000UL + i, 1, now: i);
        Assert.True(_table.TryFind(0x5200_0000_0000 + 10UL * MacTable.Capacity - 1, 10 * MacTable.Capacity, out _));
        int known = 0;
        for (uint i = 0; i < 10 * MacTable.Capacity; i++)
            known += _table.TryFind(0x5200_0000_0000UL + i, now: i, out _) ? 1 : 0;
        Assert.InRange(known, 1, MacTable.Capacity);
    }

    [Fact]
    public void Forget_OfAPort_LeavesTheOthers()
    {
        _table.Learn(0x5200_0000_0001, 1, now: 0);
        _table.Learn(0x5200_0000_0002, 2, now: 0);
        _table.Forget(1);
        Assert.False(_table.TryFind(0x5200_0000_0001, now: 0, out _));
        Assert.True(_table.TryFind(0x5200_0000_0002, now: 0, out _));
    }
}
