using System.Globalization;
using KvmSharp.Abi;
using KvmSharp.Core;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// Linux kernels out of their bzImages, in a folder of the user's: unpacked at the first start, only copied at all later ones, so that no guest
/// spends its first moments on decompression. Files are named after what the host says about the bzImage, so a changed one is unpacked again.
/// Nothing here is needed for a start: whatever goes wrong leaves the kernel to unpack itself.
/// </summary>
public sealed unsafe class KernelCache
{
    /// <summary>The oldest goes when there are more; one takes about 45 MB.</summary>
    private const int MaxKernels = 8;

    private const uint WritableByOthers = 0x12; // S_IWGRP | S_IWOTH
    private const UnixFileMode PrivateFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const string Suffix = ".kernel";

    private readonly string _folder;
    private readonly ILogger _log;

    /// <param name="folder">Made when the first kernel is kept.</param>
    /// <param name="log">Says why a kernel is not kept.</param>
    public KernelCache(string folder, ILogger log)
    {
        _folder = folder;
        _log = log;
    }

    /// <summary>The cache of the user this process runs as (XDG base directories); null for one without a home.</summary>
    public static KernelCache? ForUser(ILogger log)
    {
        string? root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(root) && Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home)
            root = Path.Combine(home, ".cache");
        return Path.IsPathFullyQualified(root ?? "") ? new KernelCache(Path.Combine(root!, "kvmsharp", "unpacked"), log) : null;
    }

    /// <summary>The kernel inside <paramref name="bzImage"/>, unpacked now if it was not yet; null if it has to unpack itself.</summary>
    /// <param name="bzImage">The kernel as it is distributed.</param>
    /// <param name="header">Its header.</param>
    /// <param name="files">Where what is opened stays open for the next boot, which looks nowhere else; null: nowhere.</param>
    internal CachedKernel? Open(BootFile bzImage, LinuxSetupHeader header, BootFiles? files)
    {
        try
        {
            if (files is { HasBooted: true })
                return files.UnpackedKernel is { } known ? Read(known, files) : null;
            if (files is not null)
                files.HasBooted = true;
            if (!bzImage.TryStat(out statx stat) || !IsOurFolder())
                return null;
            string path = Path.Combine(_folder, NameOf(stat));
            CachedKernel? kernel = TryOpen(path, files) ?? (TryAdd(bzImage, header, path) ? TryOpen(path, files) : null);
            if (files is not null && kernel is not null)
                files.UnpackedKernel = path;
            return kernel;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            _log.LogDebug("{Kernel} unpacks itself: {Reason}", bzImage.Path, e.Message);
            return null;
        }
    }

    private static string NameOf(in statx stat) => string.Create(CultureInfo.InvariantCulture,
        $"{stat.stx_dev_major:x}.{stat.stx_dev_minor:x}-{stat.stx_ino:x}-{stat.stx_size:x}-{stat.stx_mtime.tv_sec:x}.{stat.stx_mtime.tv_nsec:x}-{stat.stx_ctime.tv_sec:x}.{stat.stx_ctime.tv_nsec:x}{Suffix}");

    /// <summary>What others could write to would be a way to choose our guests' kernels.</summary>
    private bool IsOurFolder()
    {
        Directory.CreateDirectory(_folder, PrivateFolder);
        using FileDescriptor folder = FileDescriptor.Open(_folder, LibcConstants.O_RDONLY | LibcConstants.O_DIRECTORY | LibcConstants.O_NOFOLLOW);
        if (folder.TryStat(out statx stat) && stat.stx_uid == Libc.geteuid() && (stat.stx_mode & WritableByOthers) == 0)
            return true;
        _log.LogDebug("{Folder} is not this user's alone; kernels unpack themselves", _folder);
        return false;
    }

    private static CachedKernel? TryOpen(string path, BootFiles? files) => File.Exists(path) ? Read(path, files) : null;

    private static CachedKernel? Read(string path, BootFiles? files)
    {
        BootFile file = BootFile.Open("unpacked kernel", path, files);
        if (CachedKernel.TryOpen(file) is { } kernel)
            return kernel;
        file.Dispose();
        return null;
    }

    private bool TryAdd(BootFile bzImage, LinuxSetupHeader header, string path)
    {
        string temporary = $"{path}.{Environment.ProcessId}";
        try
        {
            using (var file = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = PrivateFile, BufferSize = 0 }))
            {
                if (!KernelUnpacker.TryUnpack(bzImage, header, new CachedKernelWriter(file), out string reason))
                {
                    _log.LogDebug("{Kernel} unpacks itself: {Reason}", bzImage.Path, reason);
                    return false;
                }

                file.Flush(flushToDisk: true); // a kernel half written before a power cut must not be found afterwards
            }

            File.Move(temporary, path, overwrite: true);
            DropOldest();
            return true;
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private void DropOldest()
    {
        var kernels = new DirectoryInfo(_folder).GetFiles("*" + Suffix);
        foreach (FileInfo old in kernels.OrderByDescending(f => f.LastWriteTimeUtc).Skip(MaxKernels))
            old.Delete();
    }
}
