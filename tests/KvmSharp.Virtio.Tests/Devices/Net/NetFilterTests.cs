using KvmSharp.Backends.Net;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>Which packets pass in each mode (virtio 1.2 §5.1.6.5.1 and on).</summary>
public sealed class NetFilterTests
{
    private const ulong Own = 0x52_54_00_12_34_56, Listed = 0x52_54_00_00_00_07, Stranger = 0x52_54_00_99_99_99;
    private const ulong Group = 0x33_33_00_00_00_01, OtherGroup = 0x33_33_00_00_00_02, Broadcast = 0xffff_ffff_ffff;

    private static readonly NetFilter s_filter = new() { Mac = Own, Promiscuous = false, Unicast = [Listed], Multicast = [Group] };

    [Theory]
    [InlineData(Own, true)]
    [InlineData(Listed, true)]
    [InlineData(Stranger, false)]
    [InlineData(Group, true)]
    [InlineData(OtherGroup, false)]
    [InlineData(Broadcast, true)]
    public void Passes_Tables_LetInWhatTheyList(ulong destination, bool passes) => Assert.Equal(passes, s_filter.Passes(Head(destination)));

    [Fact]
    public void Passes_Promiscuous_LetsEverythingIn() => Assert.True((s_filter with { Promiscuous = true, NoUnicast = true }).Passes(Head(Stranger)));

    [Fact]
    public void Passes_AllUnicast_LetsStrangersInButNoGroups()
    {
        NetFilter filter = s_filter with { AllUnicast = true };

        Assert.True(filter.Passes(Head(Stranger)));
        Assert.False(filter.Passes(Head(OtherGroup)));
    }

    [Fact]
    public void Passes_AllMulticast_LetsGroupsInButNoStrangers()
    {
        NetFilter filter = s_filter with { AllMulticast = true };

        Assert.True(filter.Passes(Head(OtherGroup)));
        Assert.False(filter.Passes(Head(Stranger)));
    }

    [Fact]
    public void Passes_NoUnicast_KeepsEvenTheOwnAddressOut() => Assert.False((s_filter with { NoUnicast = true, AllUnicast = true }).Passes(Head(Own)));

    [Fact]
    public void Passes_NoMulticast_KeepsListedGroupsOutButNotBroadcast()
    {
        NetFilter filter = s_filter with { NoMulticast = true };

        Assert.False(filter.Passes(Head(Group)));
        Assert.True(filter.Passes(Head(Broadcast)));
    }

    [Fact]
    public void Passes_NoBroadcast_KeepsOnlyItOut()
    {
        NetFilter filter = s_filter with { NoBroadcast = true };

        Assert.False(filter.Passes(Head(Broadcast)));
        Assert.True(filter.Passes(Head(Group)));
    }

    [Fact]
    public void Passes_TablesThatWereTooLong_LetAllOfTheirKindIn()
    {
        Assert.True((s_filter with { Unicast = null }).Passes(Head(Stranger)));
        Assert.True((s_filter with { Multicast = null }).Passes(Head(OtherGroup)));
    }

    [Theory]
    [InlineData(5, true)]
    [InlineData(4095, true)]
    [InlineData(6, false)]
    public void Passes_Vlans_LetTaggedPacketsOfTheirsInEvenPromiscuously(int vlan, bool passes)
    {
        ulong[] vlans = new ulong[64];
        vlans[0] = 1UL << 5;
        vlans[63] = 1UL << 63;

        Assert.Equal(passes, (s_filter with { Promiscuous = true, Vlans = vlans }).Passes(Head(Own, vlan)));
    }

    [Fact]
    public void Passes_VlansFiltered_LetsUntaggedPacketsIn() => Assert.True((s_filter with { Vlans = new ulong[64] }).Passes(Head(Own)));

    private static byte[] Head(ulong destination, int? vlan = null)
    {
        byte[] head = new byte[NetFilter.HeadLength];
        new MacAddress(destination).CopyTo(head);
        head[12] = vlan is null ? (byte)8 : (byte)0x81;
        head[14] = (byte)(0x20 | (vlan ?? 0) >> 8); // with a priority, which is none of the filter's business
        head[15] = (byte)(vlan ?? 0);
        return head;
    }
}
