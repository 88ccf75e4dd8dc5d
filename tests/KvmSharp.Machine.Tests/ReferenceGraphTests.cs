using System.Xml.Linq;

namespace KvmSharp.Machine.Tests;

/// <summary>The layers only point down: devices and queues never see KVM, so that all of them can be tested without it.</summary>
public sealed class ReferenceGraphTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Abi"] = [],
        ["Core"] = ["Abi"],
        ["Kvm"] = ["Core"],
        ["Devices"] = ["Core"],
        ["Backends"] = ["Core"],
        ["Virtio"] = ["Core", "Devices", "Backends"],
        ["Emulated"] = ["Core", "Devices", "Backends"],
        ["Machine"] = ["Core", "Kvm", "Devices", "Backends", "Virtio", "Emulated"],
        ["Bench"] = ["Kvm", "Devices", "Backends", "Machine"],
        ["Serve"] = ["Core", "Backends", "Virtio", "Machine"],
        ["Sandbox"] = ["Core"],
        ["Cli"] = ["Machine", "Backends", "Bench", "Serve", "Sandbox"],
    };

    public static TheoryData<string> Projects => [.. Directory.GetDirectories(Path.Combine(RepositoryRoot(), "src")).Where(HasProject).Select(Name)];

    [Theory]
    [MemberData(nameof(Projects))]
    public void References_OfEachProject_PointOnlyDown(string project)
    {
        string file = Path.Combine(RepositoryRoot(), "src", $"KvmSharp.{project}", $"KvmSharp.{project}.csproj");
        IEnumerable<string> references = XDocument.Load(file).Descendants("ProjectReference")
            .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value).Replace("KvmSharp.", "", StringComparison.Ordinal));

        Assert.True(Allowed.ContainsKey(project), $"{project} has no place in the layer table of this test");
        Assert.Empty(references.Except(Allowed[project]));
    }

    private static bool HasProject(string folder) => Directory.GetFiles(folder, "*.csproj").Length == 1;

    private static string Name(string folder) => Path.GetFileName(folder).Replace("KvmSharp.", "", StringComparison.Ordinal);

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "KvmSharp.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("KvmSharp.sln is not above the test's folder");
    }
}
