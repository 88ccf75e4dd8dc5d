using KvmSharp.Backends.Net;

namespace KvmSharp.Backends.Tests.Net;

public sealed class MacAddressTests
{
    [Fact]
    public void Derive_SameNameAndIndex_IsTheSameForEver() =>
        Assert.Equal(MacAddress.Derive("web", 0), MacAddress.Derive("web", 0));

    [Fact]
    public void Derive_OtherNameOrIndex_Differs()
    {
        Assert.NotEqual(MacAddress.Derive("web", 0), MacAddress.Derive("web", 1));
        Assert.NotEqual(MacAddress.Derive("web", 0), MacAddress.Derive("web2", 0));
        // The separator keeps "web1" + 1 apart from "web" + 11.
        Assert.NotEqual(MacAddress.Derive("web1", 1), MacAddress.Derive("web", 11));
    }

    [Fact]
    public void Derive_AnyName_IsLocalUnicast()
    {
        MacAddress address = MacAddress.Derive("web", 0);
        Assert.False(address.IsMulticast);
        Assert.StartsWith("52:", address.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("52:54:00:12:34:56", true)]
    [InlineData("52-54-00-AB-cd-ef", true)]
    [InlineData("52:54:00:12:34", false)]
    [InlineData("52:54:00:12:34:5", false)]
    [InlineData("52:54:00:12:34:xx", false)]
    [InlineData("", false)]
    public void TryParse_Text_TakesSixBytesOnly(string text, bool expected) => Assert.Equal(expected, MacAddress.TryParse(text, out _));

    [Fact]
    public void CopyTo_Parsed_IsWireOrder()
    {
        Assert.True(MacAddress.TryParse("52:54:00:12:34:56", out MacAddress address));
        byte[] wire = new byte[6];
        address.CopyTo(wire);
        Assert.Equal(new byte[] { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, wire);
        Assert.Equal("52:54:00:12:34:56", address.ToString());
    }
}
