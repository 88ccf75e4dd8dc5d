namespace KvmSharp.TestKit;

/// <summary>Threads of this process as /proc shows them. Others, the runtime's own too, come and go meanwhile.</summary>
public static class ThreadFolders
{
    /// <summary>Folders under /proc/self/task of the threads whose name starts so; the kernel keeps 15 bytes of a name.</summary>
    public static IReadOnlyList<string> Find(string nameStart) =>
        [.. Directory.GetDirectories("/proc/self/task").Where(folder => NameOf(folder)?.StartsWith(nameStart, StringComparison.Ordinal) == true)];

    private static string? NameOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "comm"));
        }
        catch (IOException)
        {
            return null; // it just ended
        }
    }
}
