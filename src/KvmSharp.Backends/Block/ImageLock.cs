using System.Globalization;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>
/// OFD locks on a whole image (fcntl F_OFD_SETLK): a writer excludes everybody, readers share. The lock belongs to the open file and
/// goes with its last descriptor. It meets the byte ranges that QEMU locks, so the two exclude each other as well.
/// </summary>
internal static unsafe class ImageLock
{
    /// <summary>How long a lock that no process is seen to have is waited for, and how often it is looked at.</summary>
    private const int PatienceMs = 2000, RetryMs = 5;

    /// <summary>
    /// Locks or throws <see cref="BackendException"/> naming the holder where /proc tells. A killed process keeps its locks for some ten milliseconds after
    /// its end, while the kernel takes down the rings that it had files in: that is waited out.
    /// </summary>
    public static void Acquire(FileDescriptor file, string path, bool exclusive)
    {
        int errno = TryLock(file, exclusive);
        string? holder = IsHeld(errno) ? FindHolder(file) : null;
        long start = Environment.TickCount64;
        while (IsHeld(errno) && holder is null && Environment.TickCount64 - start < PatienceMs)
        {
            Thread.Sleep(RetryMs);
            errno = TryLock(file, exclusive);
        }

        if (errno == 0)
            return;
        if (!IsHeld(errno))
        {
            throw new BackendException(
                $"cannot lock disk image {path}: {Marshal.GetPInvokeErrorMessage(errno)}; its file system has no locks, use lock=off if nothing else opens it");
        }

        holder ??= FindHolder(file) ?? "another process";
        throw new BackendException(exclusive
            ? $"disk image {path} is in use by {holder}: stop it first, or open the image with readonly=on in both"
            : $"disk image {path} is being written by {holder}: stop it first");
    }

    /// <summary>Drops the lock now: a ring that was just closed may hold the open file a little longer.</summary>
    public static void Release(FileDescriptor file)
    {
        flock request = new() { l_type = LibcConstants.F_UNLCK, l_whence = LibcConstants.SEEK_SET };
        _ = Libc.fcntl(file.Value, LibcConstants.F_OFD_SETLK, &request);
    }

    /// <summary>0 or the errno.</summary>
    private static int TryLock(FileDescriptor file, bool exclusive)
    {
        flock request = new()
        {
            l_type = (short)(exclusive ? LibcConstants.F_WRLCK : LibcConstants.F_RDLCK),
            l_whence = LibcConstants.SEEK_SET,
        };
        return Libc.fcntl(file.Value, LibcConstants.F_OFD_SETLK, &request) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    private static bool IsHeld(int errno) => errno is LibcConstants.EAGAIN or LibcConstants.EACCES;

    /// <summary>"pid N (name)" of a process that has a lock on the same file. Best effort: needs to see its /proc entries.</summary>
    private static string? FindHolder(FileDescriptor file)
    {
        if (!file.TryStat(out statx ours))
            return null;
        string inode = string.Create(CultureInfo.InvariantCulture, $"{ours.stx_dev_major:x2}:{ours.stx_dev_minor:x2}:{ours.stx_ino} ");
        try
        {
            foreach (string process in Directory.EnumerateDirectories("/proc"))
            {
                if (int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                    && HoldsLock(process, inode))
                    return $"pid {pid} ({ReadName(process)})";
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A hint in a message; without /proc there is none.
        }

        return null;
    }

    private static bool HoldsLock(string process, string inode)
    {
        try
        {
            foreach (string info in Directory.EnumerateFiles($"{process}/fdinfo"))
            {
                if (TellsOfLock(info, inode))
                    return true;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The process is gone, or not ours to look at.
        }

        return false;
    }

    private static bool TellsOfLock(string info, string inode)
    {
        try
        {
            foreach (string line in File.ReadLines(info))
            {
                if (line.StartsWith("lock:", StringComparison.Ordinal) && line.Contains(inode, StringComparison.Ordinal))
                    return true;
            }
        }
        catch (IOException)
        {
            // Closed since it was listed; the process has others.
        }

        return false;
    }

    private static string ReadName(string process)
    {
        try
        {
            return File.ReadAllText($"{process}/comm").Trim();
        }
        catch (IOException)
        {
            return "unknown";
        }
    }
}
