using System.Globalization;
using KvmSharp.Core;

namespace KvmSharp.Bench.Paths;

/// <summary>The files of a run, in a folder that goes with it: the guest and, unless the user gave one, the disk.</summary>
internal sealed class BenchScratch : IDisposable
{
    private const string Resource = "bench-guest.elf";
    private const int ChunkBytes = 1 << 20, DiskChunks = 64;

    /// <summary>A disk in memory keeps the host's file system and its disk out of what is measured.</summary>
    private const string MemoryFolder = "/dev/shm";

    private readonly DirectoryInfo _folder;
    private DirectoryInfo? _memory;

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
            Disk = options.Disk ?? MakeDisk(_memory = TryMakeMemoryFolder(_folder.Name) ?? _folder);
            Tap = options.Tap ?? string.Create(CultureInfo.InvariantCulture, $"ksb{Environment.ProcessId}");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Kernel { get; }

    public string Disk { get; }

    /// <summary>The interface on the host. Unless it is the user's it comes and goes with each run.</summary>
    public string Tap { get; }

    /// <summary>What QEMU runs with the name of its tap.</summary>
    public string TapScript { get; }

    public void Dispose()
    {
        if (_memory is not null && _memory != _folder)
            _memory.Delete(recursive: true);
        _folder.Delete(recursive: true);
    }

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

    private static DirectoryInfo? TryMakeMemoryFolder(string name)
    {
        if (!Directory.Exists(MemoryFolder))
            return null;
        return new DriveInfo(MemoryFolder).AvailableFreeSpace > 2L * DiskChunks * ChunkBytes ? Directory.CreateDirectory(Path.Combine(MemoryFolder, name)) : null;
    }
}
