namespace KvmSharp.GuestTests;

/// <summary>Where this checkout is and what its scripts prepare.</summary>
internal static class RepositoryPaths
{
    /// <summary>The folder of the solution, found upwards from the test assembly.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Another program to test with the same options, such as an older build; null: the one built here.</summary>
    public static string? OtherProgram { get; } = Environment.GetEnvironmentVariable("KVMSHARP_PROGRAM");

    /// <summary>The native program under test.</summary>
    public static string Program => OtherProgram ?? Path.Combine(Root, "artifacts", "kvmsharp");

    /// <summary>A script of the scripts folder.</summary>
    public static string Script(string name) => Path.Combine(Root, "scripts", name);

    /// <summary>A script beside these tests.</summary>
    public static string TestScript(string name) => Path.Combine(Root, "tests", "KvmSharp.GuestTests", "Scripts", name);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "KvmSharp.sln")))
                return folder.FullName;
        }

        throw new InvalidOperationException($"No KvmSharp.sln above {AppContext.BaseDirectory}.");
    }
}
