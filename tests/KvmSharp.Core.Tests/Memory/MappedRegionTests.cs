using System.Globalization;
using KvmSharp.Core.Memory;

namespace KvmSharp.Core.Tests.Memory;

public sealed unsafe class MappedRegionTests
{
    private const int Length = 8 << 20;

    [Fact]
    public void MapPrivate_IsZeroAndWritable()
    {
        using MappedRegion region = MappedRegion.MapPrivate(Length);

        var bytes = new Span<byte>(region.Pointer, Length);
        Assert.Equal(-1, bytes.IndexOfAnyExcept((byte)0));
        bytes[^1] = 1;
        Assert.Equal(1, bytes[^1]);
    }

    [Fact]
    public void MapPrivate_PartlyTouched_OnlyThatIsTaken()
    {
        using MappedRegion region = MappedRegion.MapPrivate(Length);

        region.Pointer[Length / 2] = 1;

        string[] lines = Describe(region);
        Assert.Equal(4, Kibibytes(lines, "Anonymous:"));
        // Whatever the setting of a host that has huge pages, and also later.
        if (Directory.Exists("/sys/kernel/mm/transparent_hugepage"))
            Assert.Contains(" nh", lines.Single(line => line.StartsWith("VmFlags:", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    /// <summary>What the host says about the mapping.</summary>
    private static string[] Describe(MappedRegion region)
    {
        string start = $"{(ulong)region.Pointer:x}-";
        return [.. File.ReadLines("/proc/self/smaps").SkipWhile(line => !line.StartsWith(start, StringComparison.Ordinal)).Skip(1).TakeWhile(line => char.IsUpper(line[0]))];
    }

    private static int Kibibytes(string[] lines, string name)
    {
        string line = lines.Single(line => line.StartsWith(name, StringComparison.Ordinal));
        return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
