namespace KvmSharp.Backends.Tests.Block;

/// <summary>A sparse image file in a directory of its own.</summary>
internal sealed class TempImage : IDisposable
{
    private readonly string _directory;

    public TempImage(long sizeBytes, string? parent = null)
    {
        _directory = parent ?? Directory.CreateTempSubdirectory("kvmsharp-blk-").FullName;
        OwnsDirectory = parent is null;
        Path = System.IO.Path.Combine(_directory, "disk.img");
        Resize(sizeBytes);
    }

    public string Path { get; }

    private bool OwnsDirectory { get; }

    public byte[] Bytes => File.ReadAllBytes(Path);

    public void Resize(long sizeBytes)
    {
        using FileStream stream = new(Path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        stream.SetLength(sizeBytes);
    }

    public void Dispose()
    {
        File.Delete(Path);
        if (OwnsDirectory)
            Directory.Delete(_directory, recursive: true);
    }
}
