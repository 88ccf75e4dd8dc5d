using KvmSharp.Core;

namespace KvmSharp.Bench.Paths;

/// <summary>The files of a run, in a folder that goes with it: the guest and, unless the user gave one, the disk.</summary>
internal sealed class BenchScratch : IDisposable
{
    private const string Resource = "bench-guest.elf";
    private const int ChunkBytes = 1 << 20, DiskChunks = 64;

    private readonly DirectoryInfo _folder;

    public BenchScratch(PathOptions options)
    {
        _folder = Directory.CreateTempSubdirectory("kvmsharp-bench-");
        try
        {
            Kernel = Path.Combine(_folder.FullName, Resource);
            using (Stream guest = typeof(BenchScratch).Assembly.GetManifestResourceStream(Resource) ?? throw new BenchException("the program lacks its bench guest"))
            using (FileStream file = File.Create(Kernel))
                guest.CopyTo(file);
            TapScript = Path.Combine(_folder.FullName, "tap-up");
            File.WriteAllText(TapScript, "#!/bin/sh\nexec ip link set \"$1\" up\n");
            File.SetUnixFileMode(TapScript, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            Disk = options.Disk ?? MakeDisk(_folder);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Kernel { get; }

    public string Disk { get; }

    /// <summary>What QEMU runs with the name of its tap.</summary>
    public string TapScript { get; }

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>A disk of 64 MiB. Written, not sparse: holes are read without the disk and allocated when written.</summary>
    public static string MakeDisk(DirectoryInfo folder)
    {
        string path = Path.Combine(folder.FullName, "disk.img");
        byte[] chunk = new byte[ChunkBytes];
        new Random(1).NextBytes(chunk);
        using FileStream file = File.Create(path);
        for (int i = 0; i < DiskChunks; i++)
            file.Write(chunk);
        file.Flush(flushToDisk: true);
        return path;
    }
}
