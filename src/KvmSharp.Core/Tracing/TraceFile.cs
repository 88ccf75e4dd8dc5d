using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.Core.Tracing;

/// <summary>
/// A file that is whole after every write: each part replaces the tail of the one before with more events and a tail of its own, in one system call. So
/// the end of the process, whatever it is, leaves a file that can be read. One thread.
/// </summary>
internal sealed unsafe class TraceFile : IDisposable
{
    private const uint Mode = 0x1B4; // 0664

    private readonly FileDescriptor _file;
    private byte[] _tail = [];

    /// <summary>Creates or empties the file. Throws <see cref="LinuxException"/>; what cannot be written at an offset (a pipe) is ESPIPE.</summary>
    public TraceFile(string path)
    {
        _file = FileDescriptor.Open(path, LibcConstants.O_WRONLY | LibcConstants.O_CREAT | LibcConstants.O_TRUNC | LibcConstants.O_NOCTTY | LibcConstants.O_NONBLOCK, Mode);
        if (Libc.lseek(_file.Value, 0, 0) == 0)
            return;
        var error = LinuxException.FromLastError($"open {path}");
        _file.Dispose();
        throw error;
    }

    /// <summary>Where the tail begins.</summary>
    public long Length { get; private set; }

    /// <summary>Appends events with their tail. 0, or -errno: the file then is as it was before.</summary>
    /// <param name="tail">So many of the last bytes are the tail.</param>
    public int Append(ReadOnlySpan<byte> part, int tail)
    {
        int error = Write(part);
        if (error < 0)
        {
            // The old tail's place was there before, so that even a full disk takes it.
            _ = Write(_tail);
            _ = Libc.ftruncate(_file.Value, Length + _tail.Length);
            return error;
        }

        Length += part.Length - tail;
        if (_tail.Length != tail)
            _tail = new byte[tail];
        part[^tail..].CopyTo(_tail);
        return 0;
    }

    public void Dispose() => _file.Dispose();

    private int Write(ReadOnlySpan<byte> bytes)
    {
        // SAFETY: the kernel reads bytes.Length - done bytes from done on.
        fixed (byte* p = bytes)
        {
            for (int done = 0; done < bytes.Length;)
            {
                nint written = Libc.pwrite(_file.Value, p + done, (nuint)(bytes.Length - done), Length + done);
                if (written > 0)
                    done += (int)written;
                else if (written == 0 || Marshal.GetLastPInvokeError() != LibcConstants.EINTR)
                    return written == 0 ? -LibcConstants.ENOSPC : -Marshal.GetLastPInvokeError();
            }
        }

        return 0;
    }
}
