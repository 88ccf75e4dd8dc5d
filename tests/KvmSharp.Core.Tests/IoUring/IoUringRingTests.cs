using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core.IoUring;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.IoUringConstants;

namespace KvmSharp.Core.Tests.IoUring;

public sealed unsafe class IoUringRingTests
{
    [Fact]
    public void Layouts_OfSharedStructures_AreTheKernels()
    {
        Assert.Equal(64, sizeof(io_uring_sqe));
        Assert.Equal(16, sizeof(io_uring_cqe));
        Assert.Equal(120, sizeof(io_uring_params));
        Assert.Equal(8, sizeof(io_uring_probe_op));
        Assert.Equal(16, sizeof(io_uring_probe));
    }

    [Fact]
    public void Create_Here_UsesDeferredTaskRunning()
    {
        using IoUringRing ring = IoUringRing.Create(8);
        Assert.NotEqual(0u, ring.SetupFlags & IORING_SETUP_DEFER_TASKRUN);
        Assert.Equal(8u, ring.SubmissionCapacity);
        Assert.True(ring.Supports(IORING_OP_READ));
        Assert.False(ring.Supports(250));
    }

    [Fact]
    public void Submit_ManyRounds_EachCompletionComesBackOnce()
    {
        using IoUringRing ring = IoUringRing.Create(8);
        Assert.Equal(0, ring.Enable());
        ulong sum = 0;
        for (ulong round = 0; round < 1000; round++)
        {
            for (ulong i = 0; i < 5; i++)
                PrepareNop(ring, round * 5 + i);
            Assert.Equal(5, ring.Submit(5));
            while (ring.TryReap(out io_uring_cqe completion))
                sum += completion.user_data;
        }

        Assert.Equal(4999UL * 5000 / 2, sum);
    }

    [Fact]
    public void TryGetSqe_RingFull_ReturnsNullUntilSubmitted()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        Assert.Equal(0, ring.Enable());
        for (ulong i = 0; i < 4; i++)
            PrepareNop(ring, i);
        Assert.True(ring.TryGetSqe() == null);
        Assert.Equal(4u, ring.Unsubmitted);
        Assert.Equal(4, ring.Submit());
        Assert.True(ring.TryGetSqe() != null);
    }

    [Fact]
    public void Submit_NotEnabled_IsRefused()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        PrepareNop(ring, 1);
        Assert.Equal(-77, ring.Submit());
    }

    [Fact]
    public void Submit_FromAnotherThread_IsRefused()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        Assert.Equal(0, ring.Enable());
        PrepareNop(ring, 1);
        int result = 0;
        Thread other = new(() => result = ring.Submit());
        other.Start();
        other.Join();
        Assert.Equal(-LibcConstants.EEXIST, result);
    }

    [Fact]
    public void Read_RegisteredFileAndBuffer_FillsBuffer()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        using EventFd completed = new();
        using FileDescriptor file = FileDescriptor.Open("/proc/self/exe", LibcConstants.O_RDONLY);
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(4096, 4096);
        Assert.Equal(0, ring.RegisterFiles([file.Value]));
        Assert.Equal(0, ring.RegisterBuffers([new IoVec(buffer, 4096)]));
        Assert.Equal(0, ring.RegisterEventFd(completed));
        Assert.Equal(0, ring.Enable());
        io_uring_sqe* sqe = ring.TryGetSqe();
        sqe->opcode = IORING_OP_READ_FIXED;
        sqe->flags = IOSQE_FIXED_FILE;
        sqe->fd = 0;
        sqe->addr = (ulong)buffer;
        sqe->len = 4;
        ring.Submit(1);
        Assert.True(ring.TryReap(out io_uring_cqe completion));
        Assert.Equal(4, completion.res);
        Assert.True(new Span<byte>(buffer, 4).SequenceEqual("\x7f"u8.ToArray().Concat("ELF"u8.ToArray()).ToArray()));
        Assert.True(completed.Drain());
        ring.Dispose();
        NativeMemory.AlignedFree(buffer);
    }

    [Fact]
    public void EventsDisabled_Completion_DoesNotSignal()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        using EventFd completed = new();
        Assert.Equal(0, ring.RegisterEventFd(completed));
        Assert.Equal(0, ring.Enable());
        ring.SetEventsEnabled(false);
        PrepareNop(ring, 1);
        ring.Submit(1);
        Assert.True(ring.HasWork);
        Assert.False(completed.Drain());
        ring.SetEventsEnabled(true);
        PrepareNop(ring, 2);
        ring.Submit(1);
        Assert.True(completed.Drain());
    }

    /// <summary>A caller that loops until the flag is down would never come back.</summary>
    [Fact]
    public void TryReap_FlagRaisedInVain_FindsNothingAndThenTheNext()
    {
        using IoUringRing ring = IoUringRing.Create(4);
        Assert.Equal(0, ring.Enable());
        ring.RaiseTaskRun();
        Assert.False(ring.TryFetch());
        Assert.False(ring.TryReap(out _));
        Assert.True(ring.HasWork);
        PrepareNop(ring, 7);
        ring.Submit(1);
        Assert.True(ring.TryReap(out io_uring_cqe completion));
        Assert.Equal(7u, completion.user_data);
    }

    /// <summary>The kernel keeps what the completion ring has no room for (IORING_FEAT_NODROP).</summary>
    [Fact]
    public void TryReap_MoreCompletionsThanTheRingHolds_NoneIsLost()
    {
        const int Count = 64;
        using IoUringRing ring = IoUringRing.Create(4);
        Assert.Equal(0, ring.Enable());
        for (ulong i = 0; i < Count; i++)
        {
            PrepareNop(ring, i);
            Assert.Equal(1, ring.Submit());
        }

        HashSet<ulong> reaped = [];
        while (ring.TryReap(out io_uring_cqe completion))
            reaped.Add(completion.user_data);
        Assert.Equal(Count, reaped.Count);
    }

    private static void PrepareNop(IoUringRing ring, ulong userData)
    {
        io_uring_sqe* sqe = ring.TryGetSqe();
        Assert.True(sqe != null);
        sqe->opcode = IORING_OP_NOP;
        sqe->user_data = userData;
    }
}
