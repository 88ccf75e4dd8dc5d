using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>
/// The side of a drive that moves data: takes one request at a time from a vCPU thread and does it on the drive's loop, so that no vCPU
/// waits for a disk. Owns the buffer behind the data port.
/// </summary>
internal sealed unsafe class DriveIo : IEventSink, IPollSink, IBlockCompletion, IDisposable
{
    /// <summary>Bytes of the buffer behind the data port: the largest block of a multiple-sector command.</summary>
    public const int BufferBytes = IdeDrive.MaxMultiple * IdeDrive.SectorBytes;

    private const uint BufferCookie = 0;
    private const uint DmaCookie = 1;
    private const uint CompletionCookie = 2;
    private const uint DrainCookie = 3;
    private const nuint BufferAlignment = 4096;

    /// <summary>Edge-triggered: each signal is one event, and the counter need not be read.</summary>
    private const uint EdgeEvents = LibcConstants.EPOLLIN | LibcConstants.EPOLLET;

    // wiring
    private readonly GuestMemory _memory;
    private readonly EventLoop _loop;
    private readonly IBlockIo _io;
    private readonly IDriveIoOwner _owner;
    private readonly EventToken _completionToken;
    private readonly IoVec* _segments;
    private readonly byte* _buffer;

    // The request: written by the vCPU thread before the post, which orders it, and by nobody until it has completed.
    private BlockOperation _operation;
    private BlockRequestFlags _flags;
    private ulong _offset;
    private ulong _length;
    private uint _table;
    private PrdTransfer _prd;

    /// <summary>Throws what <see cref="IBlockBackend.OpenIo"/> throws.</summary>
    public DriveIo(IBlockBackend backend, GuestMemory memory, EventLoop loop, IDriveIoOwner owner)
    {
        _memory = memory;
        _loop = loop;
        _owner = owner;
        _io = backend.OpenIo(1, this);
        _segments = (IoVec*)NativeMemory.Alloc(PrdTable.MaxEntries, (nuint)sizeof(IoVec));
        _buffer = (byte*)NativeMemory.AlignedAlloc(BufferBytes, BufferAlignment);
        _completionToken = loop.Register(_io.Completion, EdgeEvents, this, CompletionCookie);
        loop.AddPollSink(this);
    }

    /// <summary>The buffer behind the data port. The owner's while no request is under way.</summary>
    public Span<byte> Buffer => new(_buffer, BufferBytes);

    /// <summary>Moves data between the start of the buffer and the disk; a flush has no length. vCPU thread; nothing else is under way.</summary>
    public void StartBuffered(BlockOperation operation, BlockRequestFlags flags, ulong offset, int length) =>
        Start(operation, flags, offset, (uint)length, table: 0, BufferCookie);

    /// <summary>Moves as much as a table of region descriptors has room for between guest memory and the disk. vCPU thread; nothing else is under way.</summary>
    public void StartDma(BlockOperation operation, BlockRequestFlags flags, ulong offset, ulong length, uint table) =>
        Start(operation, flags, offset, length, table, DmaCookie);

    /// <summary>Returns when what was started before has completed. The caller holds no lock that the owner wants.</summary>
    public void Drain() => _loop.Invoke(this, DrainCookie);

    /// <summary>Waits for what is under way. No request may follow.</summary>
    public void Dispose()
    {
        Drain();
        _loop.RemovePollSink(this);
        _loop.Unregister(_completionToken);
        _io.Dispose();
        NativeMemory.Free(_segments);
        NativeMemory.AlignedFree(_buffer);
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case BufferCookie:
                *_segments = new IoVec(_buffer, (nuint)_length);
                _prd = default;
                Submit(segmentCount: _length == 0 ? 0 : 1);
                break;
            case DmaCookie:
                SubmitDma();
                break;
            case CompletionCookie:
                _io.Reap();
                break;
            default:
                _io.Drain();
                break;
        }
    }

    public void OnCompleted(uint tag, int result)
    {
        bool failed = result < 0 || (ulong)result != _length;
        _owner.OnIoCompleted(new DriveIoResult(failed, failed ? 0 : _length, _prd));
    }

    void IPollSink.BeginPoll() => _io.SetCompletionEvents(false);

    bool IPollSink.Poll() => _io.HasCompletions && _io.Reap() > 0;

    void IPollSink.EndPoll()
    {
        _io.SetCompletionEvents(true);
        _io.Reap();
    }

    private void Start(BlockOperation operation, BlockRequestFlags flags, ulong offset, ulong length, uint table, uint cookie)
    {
        _operation = operation;
        _flags = flags;
        _offset = offset;
        _length = length;
        _table = table;
        _loop.Post(this, cookie);
    }

    private void SubmitDma()
    {
        _prd = PrdTable.Collect(_memory, _table, _length, _segments);
        _length = _prd.Bytes;
        if (_length == 0)
            _owner.OnIoCompleted(new DriveIoResult(false, 0, _prd));
        else
            Submit(_prd.SegmentCount);
    }

    private void Submit(int segmentCount)
    {
        // One request at a time: there is room.
        _ = _io.TryEnqueue(new BlockRequest
        {
            Operation = _operation, Flags = _flags, OffsetBytes = _offset, LengthBytes = _length, Segments = _segments, SegmentCount = segmentCount,
        });
        _io.Submit();
        _io.Reap();
    }
}
