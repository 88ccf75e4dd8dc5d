using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// A kernel, initrd or module file, read with pread(2) into headers on the stack or straight into guest memory. Its contents
/// are hostile; its length is taken once, and a file that shrinks under us is an error, not a short copy.
/// </summary>
internal sealed unsafe class BootFile : IDisposable
{
    private readonly FileDescriptor _file;

    private BootFile(FileDescriptor file, string role, string path, ulong length)
    {
        _file = file;
        Role = role;
        Path = path;
        Length = length;
    }

    /// <summary>"kernel", "initrd" or "module", for messages.</summary>
    internal string Role { get; }

    internal string Path { get; }

    internal ulong Length { get; }

    /// <summary>Opens a regular, non-empty file; <see cref="BootException"/> otherwise.</summary>
    /// <param name="role">For messages.</param>
    /// <param name="path">Of the file.</param>
    /// <param name="files">Where it stays open for the next time; null: nowhere.</param>
    internal static BootFile Open(string role, string path, BootFiles? files)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
            throw new BootException($"{role}: the path is empty or holds a NUL; give the path of a file");
        FileDescriptor? file = null;
        try
        {
            using BootFiles? once = files is null ? new BootFiles() : null;
            file = (files ?? once)!.Open(path);
            byte probe;
            if (Libc.pread(file.Value, &probe, 1, 0) < 0)
                throw LinuxException.FromLastError($"read {path}");
            long length = Libc.lseek(file.Value, 0, 2);
            if (length < 0)
                throw LinuxException.FromLastError($"lseek {path}");
            if (length == 0)
                throw new BootException($"{role} '{path}' is empty; give a complete file");
            return new BootFile(file, role, path, (ulong)length);
        }
        catch (LinuxException e)
        {
            file?.Dispose();
            throw new BootException(Explain(role, path, e), e);
        }
        catch (BootException)
        {
            file?.Dispose();
            throw;
        }
    }

    /// <summary>What the host says about the file; false if it refuses.</summary>
    internal bool TryStat(out statx stat) => _file.TryStat(out stat);

    /// <summary>Fills <paramref name="into"/> from <paramref name="offset"/>; false when the file ends before.</summary>
    internal bool TryRead(ulong offset, Span<byte> into)
    {
        if (offset > Length || (ulong)into.Length > Length - offset)
            return false;
        fixed (byte* p = into)
            ReadExactly(offset, p, (ulong)into.Length);
        return true;
    }

    /// <summary>As much of <paramref name="into"/> as the file holds, from its start.</summary>
    internal Span<byte> ReadHead(Span<byte> into)
    {
        Span<byte> part = into[..(int)Math.Min((ulong)into.Length, Length)];
        TryRead(0, part);
        return part;
    }

    /// <summary>
    /// Reads part of the file straight into guest RAM. The caller has checked the range against the file; false when the guest
    /// range is not wholly in RAM.
    /// </summary>
    internal bool TryReadToGuest(GuestMemory memory, ulong address, ulong offset, ulong length, LoadHelper? helper = null)
    {
        if (length == 0)
            return true;
        if (offset > Length || length > Length - offset || !memory.TryGetPointer(new(address), length, out byte* host))
            return false;
        ulong before = address % LoadHelper.PieceBytes;
        ulong pieces = (before + length + LoadHelper.PieceBytes - 1) / LoadHelper.PieceBytes;
        if (helper is null || pieces < LoadHelper.WorthSharing)
            Copy(0, length, byFile: true);
        else
            helper.Share(pieces, piece => Copy(Start(piece), Start(piece + 1), byFile: true), piece => Copy(Start(piece), Start(piece + 1), byFile: false));
        return true;

        ulong Start(ulong piece) => piece == 0 ? 0 : Math.Min(length, (piece * LoadHelper.PieceBytes) - before);

        void Copy(ulong from, ulong to, bool byFile) => CopyToGuest(memory, address + from, offset + from, host + from, to - from, byFile);
    }

    /// <summary>Reads part of the file into guest RAM; the caller has checked the range against the file and found where it lies on the host.</summary>
    /// <param name="byFile">
    /// Where writing to the memory's file is the faster way, do that: for one thread, since the kernel lets no second one write to it at the same time. Others fill the mapping.
    /// </param>
    internal void CopyToGuest(GuestMemory memory, ulong address, ulong offset, byte* host, ulong length, bool byFile)
    {
        ulong sent = byFile ? SendToGuest(memory, address, offset, length) : 0;
        ReadExactly(offset + sent, host + sent, length - sent);
    }

    internal BootException Error(string what) => new($"{Role} '{Path}' {what}");

    public void Dispose() => _file.Dispose();

    /// <summary>
    /// File to memfd inside the kernel: it allocates the pages of guest RAM without a page fault for each, which takes two thirds of the
    /// time of reading into the mapping. Huge pages are read faster, and what else it cannot do (mergeable memory, odd file systems) is left to read. Returns the
    /// bytes sent.
    /// </summary>
    private ulong SendToGuest(GuestMemory memory, ulong address, ulong offset, ulong length)
    {
        if (!memory.IsShared || memory.HasHugePages)
            return 0;
        foreach (ref readonly GuestMemoryRegion region in memory.Regions)
        {
            if (address - region.Start.Value >= region.SizeBytes)
                continue;
            if (Libc.lseek(memory.File.Value, (long)(region.FileOffset + (address - region.Start.Value)), 0) < 0)
                return 0;
            ulong sent = 0;
            while (sent < length)
            {
                long from = (long)(offset + sent);
                nint count = Libc.sendfile(memory.File.Value, _file.Value, &from, (nuint)Math.Min(length - sent, 1UL << 30));
                if (count <= 0)
                    break;
                sent += (ulong)count;
            }

            return sent;
        }

        return 0;
    }

    // SAFETY: every caller holds a buffer of at least length bytes.
    private void ReadExactly(ulong offset, byte* into, ulong length)
    {
        while (length > 0)
        {
            nint got = Libc.pread(_file.Value, into, (nuint)Math.Min(length, 1UL << 30), (long)offset);
            if (got < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno == LibcConstants.EINTR)
                    continue;
                LinuxException cause = new($"read {Path}", errno);
                throw new BootException($"{Role} '{Path}' cannot be read: {Marshal.GetPInvokeErrorMessage(errno)}", cause);
            }

            if (got == 0)
                throw Error("became shorter while it was read; do not replace it during the start");
            into += got;
            offset += (ulong)got;
            length -= (ulong)got;
        }
    }

    private static string Explain(string role, string path, LinuxException e) => e.Errno switch
    {
        LibcConstants.ENOENT or LibcConstants.ENOTDIR => $"{role} '{path}' does not exist; check the path",
        LibcConstants.EACCES or LibcConstants.EPERM => $"{role} '{path}' may not be read; check its permissions",
        LibcConstants.EISDIR => $"{role} '{path}' is a directory; give a file",
        29 or LibcConstants.ENXIO => $"{role} '{path}' is not a regular file; give a file", // ESPIPE
        _ => $"{role} '{path}' cannot be opened: {Marshal.GetPInvokeErrorMessage(e.Errno)}",
    };
}
