namespace KvmSharp.Cli.Tests.Support;

/// <summary>A folder of the test's own, removed with everything in it.</summary>
public sealed class ScratchFolder : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("kvmsharp-cli-").FullName;

    public string this[string name] => Path.Combine(_path, name);

    public string Root => _path;

    public string Write(string name, byte[] content)
    {
        File.WriteAllBytes(this[name], content);
        return this[name];
    }

    public string Write(string name, string content)
    {
        File.WriteAllText(this[name], content);
        return this[name];
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);
}
