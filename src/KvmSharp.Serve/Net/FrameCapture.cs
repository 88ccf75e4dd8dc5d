using System.Buffers.Binary;
using KvmSharp.Backends;
using KvmSharp.Core.Memory;
using Microsoft.Win32.SafeHandles;

namespace KvmSharp.Serve.Net;

/// <summary>
/// Frames as a file that tcpdump and Wireshark read (pcap, nanoseconds, Ethernet). Ends without a word when its limit is reached or the file cannot be written:
/// it is for looking, not for keeping. Any thread; each frame is one write.
/// </summary>
internal sealed class FrameCapture : IDisposable
{
    public const ulong DefaultLimitBytes = 1UL << 30;

    private const uint Magic = 0xa1b2_3c4d;
    private const int FileHeaderBytes = 24, RecordHeaderBytes = 16;
    private const uint LinkTypeEthernet = 1;

    private readonly Lock _sync = new();
    private readonly SafeFileHandle _file;
    private readonly long _limit;
    private readonly byte[] _record = new byte[RecordHeaderBytes + (int)NetFrame.MaxBytes];
    private long _length;
    private bool _ended;

    /// <summary>Throws <see cref="BackendException"/> if the file cannot be made.</summary>
    public FrameCapture(string path, ulong limitBytes)
    {
        try
        {
            _file = File.OpenHandle(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BackendException($"cannot capture to {path}: {error.Message}");
        }

        _limit = (long)Math.Min(limitBytes, long.MaxValue);
        Span<byte> header = _record.AsSpan(0, FileHeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], NetFrame.MaxBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], LinkTypeEthernet);
        Append(FileHeaderBytes);
    }

    public void Write(ReadOnlySpan<IoVec> segments, uint skip, uint bytes)
    {
        lock (_sync)
        {
            if (_ended)
                return;
            long ticks = DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks;
            Span<byte> record = _record;
            BinaryPrimitives.WriteUInt32LittleEndian(record, (uint)(ticks / TimeSpan.TicksPerSecond));
            BinaryPrimitives.WriteUInt32LittleEndian(record[4..], (uint)(ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick));
            BinaryPrimitives.WriteUInt32LittleEndian(record[8..], bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(record[12..], bytes);
            int copied = IoVecCopy.CopyTo(segments, skip, record.Slice(RecordHeaderBytes, (int)bytes));
            Append(RecordHeaderBytes + copied);
        }
    }

    public void Dispose()
    {
        lock (_sync)
        {
            _ended = true;
            _file.Dispose();
        }
    }

    private void Append(int bytes)
    {
        if (_length + bytes > _limit)
        {
            _ended = true;
            return;
        }

        try
        {
            RandomAccess.Write(_file, _record.AsSpan(0, bytes), _length);
            _length += bytes;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _ended = true;
        }
    }
}
