using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.IoUringConstants;

namespace KvmSharp.Core.IoUring;

/// <summary>
/// One io_uring: submission and completion ring shared with the kernel (linux/io_uring.h). Set up on any thread; from
/// <see cref="Enable"/> on it belongs to the thread that called it, which alone may submit and reap. Allocates nothing then.
/// </summary>
public sealed unsafe class IoUringRing : IDisposable
{
    /// <summary>Best first. Older kernels answer EINVAL to flags that they do not know.</summary>
    private static readonly uint[] SetupFlagSets =
    [
        IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER
            | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
        IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
        IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED,
        IORING_SETUP_CLAMP,
    ];

    private readonly FileDescriptor _file;
    private readonly MappedRegion _rings;
    private readonly MappedRegion _sqes;
    private readonly IoUringSubmission _submission;
    private readonly IoUringCompletion _completion;
    private readonly nint _fd;
    private bool _enabled;

    private IoUringRing(FileDescriptor file, in io_uring_params parameters)
    {
        _file = file;
        _fd = file.Value;
        SetupFlags = parameters.flags;
        Features = parameters.features;
        _enabled = (SetupFlags & IORING_SETUP_R_DISABLED) == 0;
        ulong submissionBytes = parameters.sq_off.array + (ulong)parameters.sq_entries * sizeof(uint);
        ulong completionBytes = parameters.cq_off.cqes + (ulong)parameters.cq_entries * (ulong)sizeof(io_uring_cqe);
        _rings = MappedRegion.MapShared(file, Math.Max(submissionBytes, completionBytes), IORING_OFF_SQ_RING);
        try
        {
            _sqes = MappedRegion.MapShared(file, (ulong)parameters.sq_entries * (ulong)sizeof(io_uring_sqe), IORING_OFF_SQES);
        }
        catch
        {
            _rings.Dispose();
            throw;
        }

        _submission = new IoUringSubmission(_rings.Pointer, (io_uring_sqe*)_sqes.Pointer, parameters.sq_off, parameters.sq_entries);
        _completion = new IoUringCompletion(_rings.Pointer, parameters.cq_off, parameters.cq_entries);
    }

    /// <summary>IORING_SETUP_* in effect.</summary>
    public uint SetupFlags { get; }

    /// <summary>IORING_FEAT_* of the kernel.</summary>
    public uint Features { get; }

    /// <summary>Submissions that fit between two calls of <see cref="Submit"/>.</summary>
    public uint SubmissionCapacity => _submission.Capacity;

    /// <summary>Prepared and not yet taken by the kernel.</summary>
    public uint Unsubmitted => _submission.Unsubmitted;

    /// <summary>
    /// A hint without a system call: a completion is there, or the kernel says that it has work which may make one. It may say so in vain, see
    /// <see cref="TryFetch"/>, so this is no condition to loop on.
    /// </summary>
    public bool HasWork => !_completion.IsEmpty || _submission.KernelWantsEntry;

    /// <summary>
    /// Sets a ring up. <paramref name="entries"/> is rounded up to a power of two; twice as many completions fit. Throws
    /// <see cref="LinuxException"/>: ENOSYS or EPERM where io_uring is missing or forbidden.
    /// </summary>
    public static IoUringRing Create(uint entries)
    {
        int errno = 0;
        foreach (uint flags in SetupFlagSets)
        {
            io_uring_params parameters = new() { flags = flags };
            nint fd = Libc.syscall(__NR_io_uring_setup, (nint)entries, (nint)(&parameters), 0, 0, 0, 0);
            if (fd >= 0)
                return Wrap(new FileDescriptor((int)fd), parameters);
            errno = Marshal.GetLastPInvokeError();
            if (errno != LibcConstants.EINVAL)
                break;
        }

        throw new LinuxException("io_uring_setup", errno);
    }

    /// <summary>True if a ring can be set up here; <paramref name="reason"/> says why not.</summary>
    public static bool IsAvailable(out string reason)
    {
        try
        {
            using IoUringRing ring = Create(2);
            bool usable = ring.Supports(IORING_OP_READV) && ring.Supports(IORING_OP_READ) && ring.Supports(IORING_OP_WRITE);
            reason = usable ? "" : "the kernel's io_uring lacks IORING_OP_READ";
            return usable;
        }
        catch (LinuxException error)
        {
            reason = error.Message;
            return false;
        }
    }

    /// <summary>True if the kernel knows the operation (IORING_REGISTER_PROBE).</summary>
    public bool Supports(byte opcode)
    {
        const int Operations = 256;
        byte[] buffer = new byte[sizeof(io_uring_probe) + Operations * sizeof(io_uring_probe_op)];
        fixed (byte* p = buffer)
        {
            if (Register(IORING_REGISTER_PROBE, p, Operations) < 0)
                return false;
            // SAFETY: opcode < Operations entries behind the header.
            io_uring_probe_op* operations = (io_uring_probe_op*)(p + sizeof(io_uring_probe));
            return opcode <= ((io_uring_probe*)p)->last_op && (operations[opcode].flags & IO_URING_OP_SUPPORTED) != 0;
        }
    }

    /// <summary>Registers files for IOSQE_FIXED_FILE, index = position. The kernel keeps them open. Before <see cref="Enable"/>, or on its thread. 0 or -errno.</summary>
    public int RegisterFiles(ReadOnlySpan<int> fds)
    {
        fixed (int* p = fds)
            return Register(IORING_REGISTER_FILES, p, (uint)fds.Length);
    }

    /// <summary>
    /// Registers (and pins) memory for the _FIXED operations, at most 1 GiB each, index = position. Before <see cref="Enable"/>, or on
    /// its thread. 0 or -errno; -ENOMEM when it exceeds RLIMIT_MEMLOCK.
    /// </summary>
    public int RegisterBuffers(ReadOnlySpan<IoVec> buffers)
    {
        fixed (IoVec* p = buffers)
            return Register(IORING_REGISTER_BUFFERS, p, (uint)buffers.Length);
    }

    /// <summary>Signals the event for completions. Before <see cref="Enable"/>, or on its thread. 0 or -errno.</summary>
    public int RegisterEventFd(EventFd completion)
    {
        int fd = completion.Value;
        return Register(IORING_REGISTER_EVENTFD, &fd, 1);
    }

    /// <summary>Off: completions do not signal the event, because the owner polls. Look at <see cref="HasWork"/> after turning it on.</summary>
    public void SetEventsEnabled(bool enabled) => _completion.SetEventsEnabled(enabled);

    /// <summary>Binds the ring to the calling thread and lets it submit. Idempotent. 0 or -errno.</summary>
    public int Enable()
    {
        if (_enabled)
            return 0;
        int result = Register(IORING_REGISTER_ENABLE_RINGS, null, 0);
        _enabled = result == 0;
        return result;
    }

    /// <summary>The next free submission entry, cleared, or null when the ring is full: submit first.</summary>
    public io_uring_sqe* TryGetSqe() => _submission.TryTake();

    /// <summary>
    /// Hands all prepared entries to the kernel, and waits until <paramref name="waitFor"/> completions are there. How many it took,
    /// or -errno; -EAGAIN and -EBUSY mean: reap, then submit again. Restarts on EINTR only when not waiting.
    /// </summary>
    public int Submit(uint waitFor = 0)
    {
        uint count = _submission.Publish();
        uint flags = waitFor > 0 || _submission.KernelWantsEntry ? IORING_ENTER_GETEVENTS : 0;
        if (count == 0 && flags == 0)
            return 0;
        while (true)
        {
            nint taken = Libc.syscall(__NR_io_uring_enter, _fd, (nint)count, (nint)waitFor, (nint)flags, 0, 0);
            if (taken >= 0)
            {
                _submission.Consumed((uint)taken);
                return (int)taken;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != LibcConstants.EINTR || waitFor > 0)
                return -errno;
        }
    }

    /// <summary>
    /// True if a completion is there. Enters the kernel, once, only when it asks for that (deferred task work, overflow). The kernel queues
    /// deferred work first and raises IORING_SQ_TASKRUN after that: an entry of ours in between runs the work, and the flag then stays up, with
    /// nothing behind it, until there is work again.
    /// </summary>
    public bool TryFetch()
    {
        if (!_completion.IsEmpty)
            return true;
        if (!_submission.KernelWantsEntry)
            return false;
        _ = Libc.syscall(__NR_io_uring_enter, _fd, 0, 0, (nint)IORING_ENTER_GETEVENTS, 0, 0);
        return !_completion.IsEmpty;
    }

    /// <summary>The oldest completion, removed from the ring; enters the kernel as <see cref="TryFetch"/> does.</summary>
    public bool TryReap(out io_uring_cqe completion)
    {
        if (TryFetch())
            return _completion.TryTake(out completion);
        completion = default;
        return false;
    }

    /// <summary>Nothing may be in flight: the kernel would still write to the caller's buffers.</summary>
    public void Dispose()
    {
        _sqes.Dispose();
        _rings.Dispose();
        _file.Dispose();
    }

    /// <summary>For tests: what the kernel does when it loses the race that <see cref="TryFetch"/> tells of.</summary>
    internal void RaiseTaskRun() => _submission.RaiseTaskRun();

    private static IoUringRing Wrap(FileDescriptor file, in io_uring_params parameters)
    {
        try
        {
            // Linux 5.4 has both; without them two mappings and lost completions would have to be dealt with.
            const uint Needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;
            return (parameters.features & Needed) == Needed
                ? new IoUringRing(file, parameters)
                : throw new LinuxException("io_uring_setup (kernel older than 5.5)", LibcConstants.ENOSYS);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private int Register(uint operation, void* argument, uint count)
    {
        nint result = Libc.syscall(__NR_io_uring_register, _fd, (nint)operation, (nint)argument, (nint)count, 0, 0);
        return result >= 0 ? 0 : -Marshal.GetLastPInvokeError();
    }
}
