using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Backends.Block;

/// <summary>
/// An open image: its descriptors, its rules, and the operations on it that block. Thread-safe. Results are bytes or -errno.
/// </summary>
internal sealed unsafe class RawFile : IDisposable
{
    private const uint SectorSize = 512;

    private readonly FileDescriptor _file;
    private readonly FileDescriptor? _buffered;
    private ulong _capacity;
    private int _flushError;

    /// <param name="buffered">With direct I/O: the same image through the page cache, for what direct I/O cannot address.</param>
    public RawFile(FileDescriptor file, FileDescriptor? buffered, RawFileTraits traits, ulong capacityBytes)
    {
        _file = file;
        _buffered = buffered;
        Traits = traits;
        _capacity = capacityBytes;
    }

    public RawFileTraits Traits { get; }

    /// <summary>The image in a trace.</summary>
    public TraceName TraceName { get; init; }

    public ulong CapacityBytes => Volatile.Read(ref _capacity);

    /// <summary>Raw descriptor, valid until disposed.</summary>
    public int Fd => _file.Value;

    /// <summary>0, or -errno for a request that must not reach the host.</summary>
    public int Check(in BlockRequest request)
    {
        if (request.Operation == BlockOperation.Flush)
            return 0;
        if (Traits.ReadOnly && request.Operation != BlockOperation.Read)
            return -LibcConstants.EROFS;
        ulong capacity = CapacityBytes;
        if (((request.OffsetBytes | request.LengthBytes) & (SectorSize - 1)) != 0 || request.OffsetBytes > capacity
            || request.LengthBytes > capacity - request.OffsetBytes)
            return -LibcConstants.EINVAL;
        bool transfers = request.Operation is BlockOperation.Read or BlockOperation.Write;
        return transfers && request.LengthBytes > int.MaxValue ? -LibcConstants.EINVAL : 0;
    }

    /// <summary>False: offset or length do not suit direct I/O, the request goes through the page cache (a blocking call).</summary>
    public bool IsAddressable(in BlockRequest request) =>
        !Traits.Direct || ((request.OffsetBytes | request.LengthBytes) & (Traits.OffsetAlignment - 1)) == 0;

    /// <summary>True if direct I/O needs other memory than the request's.</summary>
    public bool NeedsBounce(in BlockRequest request)
    {
        if (!Traits.Direct)
            return false;
        for (int i = 0; i < request.SegmentCount; i++)
        {
            ref readonly IoVec segment = ref request.Segments[i];
            if (((nuint)segment.Base & (Traits.MemoryAlignment - 1)) != 0 || (segment.Length & (Traits.OffsetAlignment - 1)) != 0)
                return true;
        }

        return false;
    }

    /// <summary>The write must be stable when it completes.</summary>
    public bool IsFua(in BlockRequest request) =>
        !Traits.IgnoreFlush && (Traits.EveryWriteStable || (request.Flags & BlockRequestFlags.Fua) != 0);

    /// <summary>Runs a transfer or flush to its end through preadv2, pwritev2 and fdatasync. Bytes or -errno.</summary>
    public int RunTransfer(BlockTransfer* transfer)
    {
        int result;
        while (!transfer->Advance(RunStep(transfer), out result))
        {
        }

        return result;
    }

    /// <summary>rw_flags of a transfer's writes.</summary>
    public int WriteFlags(BlockTransfer* transfer) =>
        !transfer->SyncAfterwards && IsFua(transfer->Request) ? LibcConstants.RWF_DSYNC : 0;

    /// <summary>fdatasync. 0 or -errno.</summary>
    public int Sync() => FilterFlush(Libc.fdatasync(Fd) == 0 ? 0 : -Marshal.GetLastPInvokeError());

    /// <summary>
    /// After a failed flush the page cache may have dropped what it could not write and would call the next flush good: so every
    /// later one fails too.
    /// </summary>
    public int FilterFlush(int result)
    {
        if (result is < 0 and not (-LibcConstants.EINTR or -LibcConstants.EAGAIN) && !Traits.Direct)
            Interlocked.CompareExchange(ref _flushError, result, 0);
        int latched = Volatile.Read(ref _flushError);
        return result == 0 ? latched : result;
    }

    /// <summary>0 or -errno; a host that cannot discard is a success.</summary>
    public int Discard(ulong offset, ulong length)
    {
        if (!Traits.Discard || length == 0)
            return 0;
        int result = Traits.IsBlockDevice
            ? BlockIoctl(LibcConstants.BLKDISCARD, offset, length)
            : Allocate(LibcConstants.FALLOC_FL_PUNCH_HOLE | LibcConstants.FALLOC_FL_KEEP_SIZE, offset, length);
        return result == -LibcConstants.EOPNOTSUPP ? 0 : result;
    }

    /// <summary>0 or -errno. Deallocates if allowed, else asks the host for zeroes, else writes them.</summary>
    public int WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        if (length == 0)
            return 0;
        int result = -LibcConstants.EOPNOTSUPP;
        if (mayUnmap && Traits.Discard)
            result = Allocate(LibcConstants.FALLOC_FL_PUNCH_HOLE | LibcConstants.FALLOC_FL_KEEP_SIZE, offset, length);
        if (IsUnsupported(result))
        {
            result = Traits.IsBlockDevice
                ? BlockIoctl(LibcConstants.BLKZEROOUT, offset, length)
                : Allocate(LibcConstants.FALLOC_FL_ZERO_RANGE | LibcConstants.FALLOC_FL_KEEP_SIZE, offset, length);
        }

        return IsUnsupported(result) ? WriteZeroBytes(offset, length) : result;
    }

    /// <summary>Asks for the size again; true if it changed.</summary>
    public bool RefreshCapacity()
    {
        if (!RawFileTraits.TryGetSize(_file, Traits.IsBlockDevice, out ulong size))
            return false;
        size &= ~(ulong)(SectorSize - 1);
        return Interlocked.Exchange(ref _capacity, size) != size;
    }

    public void Dispose()
    {
        if (_file.IsClosed)
            return;
        ImageLock.Release(_file);
        _file.Dispose();
        _buffered?.Dispose();
    }

    private int RunStep(BlockTransfer* transfer)
    {
        if (transfer->Syncing)
            return Sync();
        IoVec* vectors = transfer->NextVectors(out int count);
        int fd = _buffered is not null && !IsAddressable(transfer->Request) ? _buffered.Value : Fd;
        long offset = (long)transfer->Offset;
        nint result;
        if (transfer->Request.Operation == BlockOperation.Read)
            result = Libc.preadv2(fd, vectors, count, offset, 0);
        else
            result = Libc.pwritev2(fd, vectors, count, offset, WriteFlags(transfer));
        return result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();
    }

    private static bool IsUnsupported(int result) =>
        result is -LibcConstants.EOPNOTSUPP or -LibcConstants.ENOTTY or -LibcConstants.EINVAL or -LibcConstants.ENOSYS;

    private int Allocate(int mode, ulong offset, ulong length)
    {
        int result;
        do result = Libc.fallocate(Fd, mode, (long)offset, (long)length) == 0 ? 0 : -Marshal.GetLastPInvokeError();
        while (result == -LibcConstants.EINTR);
        return result;
    }

    private int BlockIoctl(uint request, ulong offset, ulong length)
    {
        ulong* range = stackalloc ulong[2] { offset, length };
        int result;
        do result = Libc.ioctl(Fd, request, (nint)range) == 0 ? 0 : -Marshal.GetLastPInvokeError();
        while (result == -LibcConstants.EINTR);
        return result;
    }

    private int WriteZeroBytes(ulong offset, ulong length)
    {
        const int Chunk = 64 * 1024;
        FileDescriptor file = _buffered ?? _file;
        void* zeroes = NativeMemory.AllocZeroed(Chunk);
        try
        {
            while (length > 0)
            {
                IoVec part = new((byte*)zeroes, (nuint)Math.Min(length, Chunk));
                nint written = Libc.pwritev2(file.Value, &part, 1, (long)offset, 0);
                if (written == 0)
                    return -LibcConstants.ENOSPC;
                if (written < 0)
                {
                    int errno = Marshal.GetLastPInvokeError();
                    if (errno != LibcConstants.EINTR)
                        return -errno;
                    continue;
                }

                offset += (ulong)written;
                length -= (ulong)written;
            }

            return 0;
        }
        finally
        {
            NativeMemory.Free(zeroes);
        }
    }
}
