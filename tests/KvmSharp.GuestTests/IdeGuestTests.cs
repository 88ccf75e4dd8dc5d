namespace KvmSharp.GuestTests;

/// <summary>Linux's stock driver of the PIIX takes IDE disks for real ones, by DMA and through the data port.</summary>
[Collection(MachineGuests.Name)]
public sealed class IdeGuestTests(GuestHost host)
{
    [Theory]
    [InlineData("6.12-generic", "dma=7", "XFER_MW_DMA_2")]
    [InlineData("6.1-generic", "dma=7", "XFER_MW_DMA_2")]
    [InlineData("6.12-generic", "dma=0 amount=256", "XFER_PIO_4")]
    public void Run_IdeDisksUnderLoad_DataIsRight(string kernel, string options, string mode)
    {
        GuestResult result = host.Run(host.ModuleCheckArguments(kernel, ["ata_piix", "sd_mod"], ["ide"], $"kvmsharp.modules=0 {options}"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal("ata_piix", result.Value("driver"));
        Assert.Equal(mode, result.Value("modes"));
        Assert.Equal("65536 32768 16384", result.Value("sectors"));
        Assert.True(result.Value("raw") == "ok", result.Describe());
        Assert.True(result.Value("large") == "ok", result.Describe());
        Assert.True(result.Value("both") == "ok", result.Describe());
        Assert.True(result.Value("flush") == "ok", result.Describe());
        Assert.Equal("1", result.Value("flushes"));
        Assert.True(result.Value("format") == "ok", result.Describe());
        Assert.True(result.Value("files") == "ok", result.Describe());
        Assert.True(result.Value("check") == "ok", result.Describe());
        Assert.True(result.Value("errors") == "0", result.Describe());
        Assert.Equal("refused", result.Value("readonly"));
        Assert.True(result.Value("after") == "ok", result.Describe());
        Assert.Equal(result.Value("a.sha256"), result.Value("host.a.sha256"));
        Assert.Equal(result.Value("c.sha256"), result.Value("c.after"));
        Assert.Equal(result.Value("c.sha256"), result.Value("host.c.sha256"));
    }
}
