using System.Text.Json;

namespace KvmSharp.GuestTests;

/// <summary><c>kvmsharp bench guest</c>: a Linux guest measures its own paths, and what it finds comes out as a report for programs.</summary>
[Collection(DataPathGuests.Name)]
public sealed class BenchGuestTests(GuestHost host)
{
    [Fact]
    public void Run_OneRoundOfTwoPaths_EveryWorkloadHasItsFigures()
    {
        string initramfs = GuestHost.Initramfs("--tools", "--script", RepositoryPaths.Script("lib/bench-io-net-guest"), "6.12", "cloud", "virtio_net", "virtio_blk", "pktgen");
        GuestResult result = host.Run(
        [
            "bash", "-c", "\"$@\" --json /tmp/report.json && printf '\\nKVMSHARP report=' && tr -d '\\n' </tmp/report.json && echo", "bench",
            RepositoryPaths.Program, "bench", "guest", "--kernel", host.Kernel("6.12-cloud").BzImage, "--initrd", initramfs,
            "--paths", "virtio-net,virtio-blk", "--rounds", "1", "--seconds", "1",
        ]);

        Assert.True(result.Status == 0, result.Describe());
        using JsonDocument report = JsonDocument.Parse(result.Value("report")!);
        JsonElement root = report.RootElement;
        Assert.Equal(("guest", 1), (root.GetProperty("bench").GetString(), root.GetProperty("version").GetInt32()));
        Assert.Equal("1", root.GetProperty("settings").GetProperty("rounds").GetString());
        Assert.NotEmpty(root.GetProperty("host").EnumerateObject());
        JsonElement[] series = [.. root.GetProperty("series").EnumerateArray()];
        Assert.Equal(
            ["virtio-net tcp-out", "virtio-net tcp-in", "virtio-net send-64", "virtio-net round-trip", "virtio-blk read-4k"],
            series.Select(s => $"{s.GetProperty("path").GetString()} {s.GetProperty("work").GetString()}"));
        Assert.All(series, AssertFigures);
    }

    private static void AssertFigures(JsonElement series)
    {
        Assert.Equal("kvmsharp", series.GetProperty("side").GetString());
        Dictionary<string, double> medians = series.GetProperty("metrics").EnumerateArray().ToDictionary(m => m.GetProperty("name").GetString()!, m => m.GetProperty("median").GetDouble());
        Assert.True(medians.GetValueOrDefault("speed") + medians.GetValueOrDefault("rate") > 0, series.ToString());
        Assert.True(medians["exits"] >= 0 && medians["cpu vmm"] >= 0, series.ToString());
    }
}
