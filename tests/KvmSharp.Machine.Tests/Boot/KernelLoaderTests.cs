using System.Diagnostics;
using KvmSharp.Machine.Boot;
using KvmSharp.TestKit.Boot;

namespace KvmSharp.Machine.Tests.Boot;

public sealed class KernelLoaderTests : BootFixture
{
    [Fact]
    public void Load_Missing_SaysSo() => Assert.Contains("does not exist", FailPath("/nonexistent/kernel"), StringComparison.Ordinal);

    [Fact]
    public void Load_Directory_SaysSo() => Assert.Contains("is a directory", FailPath(Folder), StringComparison.Ordinal);

    [Fact]
    public void Load_Empty_SaysSo() => Assert.Contains("is empty", Fail([]), StringComparison.Ordinal);

    [Fact]
    public void Load_Fifo_DoesNotHang()
    {
        string path = Path.Combine(Folder, "fifo");
        using (Process mkfifo = Process.Start("mkfifo", path))
            mkfifo.WaitForExit();
        Assert.Contains("not a regular file", FailPath(path), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_CharacterDevice_SaysSo() => Assert.Contains("is empty", FailPath("/dev/zero"), StringComparison.Ordinal);

    [Fact]
    public void Load_Text_IsNotAKernel() =>
        Assert.Contains("is not a kernel", Fail([.. Enumerable.Repeat((byte)'a', 10000)]), StringComparison.Ordinal);

    [Fact]
    public void Load_Gzip_SaysDecompress()
    {
        byte[] gzip = new byte[2000];
        gzip[0] = 0x1F;
        gzip[1] = 0x8B;
        Assert.Contains("decompress", Fail(gzip), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Arm64Image_NamesTheArchitecture()
    {
        byte[] image = new byte[4096];
        "ARM\x64"u8.CopyTo(image.AsSpan(0x38));
        Assert.Contains("arm64", Fail(image), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Arm64EfiImage_NamesTheArchitecture()
    {
        byte[] image = new byte[4096];
        "MZ"u8.CopyTo(image);
        Put32(image, 0x3C, 0x80);
        "PE\0\0"u8.CopyTo(image.AsSpan(0x80));
        Put16(image, 0x84, 0xAA64);
        Assert.Contains("arm64", Fail(image), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BootProtocol.Pvh, "is a bzImage")]
    [InlineData(BootProtocol.Multiboot, "no Multiboot header")]
    public void Load_BzImageByOtherProtocol_SaysSo(BootProtocol protocol, string expected) =>
        Assert.Contains(expected, Fail(BzImage.Make(), protocol: protocol), StringComparison.Ordinal);

    [Fact]
    public void Load_OverlappingExtraRange_IsRefused()
    {
        BootRequest request = new()
        {
            KernelPath = File("kernel", BzImage.Make()),
            ExtraRanges = [new(0x20_0000, 0x1000, BootMemoryType.Reserved)],
        };
        Assert.Contains("overlaps", Assert.Throws<BootException>(() => KernelLoader.Load(Memory, request)).Message, StringComparison.Ordinal);
    }

    private string FailPath(string path) =>
        Assert.Throws<BootException>(() => KernelLoader.Load(Memory, new BootRequest { KernelPath = path })).Message;
}
