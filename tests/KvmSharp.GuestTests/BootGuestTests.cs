using System.Globalization;

namespace KvmSharp.GuestTests;

/// <summary>Stock kernels boot to user space, find the machine they were given, and power it off.</summary>
[Collection(MachineGuests.Name)]
public sealed class BootGuestTests(GuestHost host)
{
    // A selection in which every pair of (kernel, protocol), (protocol, CPUs), (CPUs, memory), (irqchip, CPUs), (irqchip, protocol) occurs.
    [Theory]
    [InlineData("6.12-cloud", "bzImage", 1, 128, "kernel")]
    [InlineData("6.12-cloud", "pvh", 2, 5120, "kernel")]
    [InlineData("6.12-cloud", "bzImage", 8, 1024, "split")]
    [InlineData("6.12-generic", "bzImage", 2, 512, "kernel")]
    [InlineData("6.12-generic", "pvh", 1, 256, "split")]
    [InlineData("6.1-cloud", "bzImage", 2, 5120, "split")]
    [InlineData("6.1-cloud", "pvh", 8, 256, "kernel")]
    [InlineData("6.1-generic", "bzImage", 1, 3584, "kernel")]
    [InlineData("6.1-generic", "pvh", 2, 512, "kernel")]
    public void Run_StockKernel_ChecksItselfAndPowersOff(string kernel, string protocol, int cpus, int memoryMib, string irqchip)
    {
        string expectations = string.Create(
            CultureInfo.InvariantCulture, $"kvmsharp.test=selfcheck kvmsharp.expect.cpus={cpus} kvmsharp.expect.mem_mib={memoryMib}");

        GuestResult result = host.Run(host.Arguments(
            kernel, protocol, expectations,
            "--memory", string.Create(CultureInfo.InvariantCulture, $"{memoryMib}M"),
            "--cpus", cpus.ToString(CultureInfo.InvariantCulture),
            "--irqchip", irqchip));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("verdict") == "pass", result.Describe());
        Assert.Equal(cpus.ToString(CultureInfo.InvariantCulture), result.Value("cpus"));
        Assert.Equal("0", result.Value("dmesg_errors"));
        Assert.Equal("kvm-clock", result.Value("clocksource"));
        Assert.Equal("present", result.Value("power_button"));
    }

    // Twice: the second start finds in the cache what the first unpacked. The kernel says where it lies.
    [Theory]
    [InlineData("6.12-cloud", "", "", true)]
    [InlineData("6.12-generic", "", "nokaslr", false)]
    [InlineData("6.12-cloud", "--no-kernel-cache", "", true)]
    [InlineData("6.1-generic", "", "", true)]
    [InlineData("6.1-cloud", "--no-kernel-cache", "nokaslr", false)]
    public void Run_KernelUnpackedByUsOrByItself_LiesAtRandomPlaces(string kernel, string option, string append, bool random)
    {
        HashSet<string?> places = [];
        for (int i = 0; i < (random ? 2 : 1); i++)
        {
            string[] arguments = host.Arguments(kernel, "bzImage", $"kvmsharp.test=selfcheck {append}", "--memory", "512M");
            GuestResult result = host.Run(option.Length == 0 ? arguments : [.. arguments, option]);

            Assert.True(result.Status == 0, result.Describe());
            Assert.True(result.Value("verdict") == "pass", result.Describe());
            Assert.Equal("0", result.Value("dmesg_errors"));
            places.Add($"{result.Value("kernel_text")} {result.Value("kernel_code")}");
        }

        if (random)
            Assert.Equal(2, places.Count);
        else
            Assert.Equal(["ffffffff81000000 01000000"], places);
    }

    [Fact]
    public void Run_ThreadsPerCore_GuestSeesTheTopology()
    {
        GuestResult result = host.Run(host.Arguments(
            "6.12-cloud", "bzImage", "kvmsharp.test=selfcheck kvmsharp.expect.cpus=2", "--memory", "256M", "--cpus", "2,threads=2"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("siblings") == "0-1" || result.Value("siblings") == "0,1", result.Describe());
    }
}
