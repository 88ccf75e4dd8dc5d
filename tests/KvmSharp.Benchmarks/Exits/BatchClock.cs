using KvmSharp.Abi;
using KvmSharp.Core.Buses;

namespace KvmSharp.Benchmarks.Exits;

/// <summary>
/// The device under test: takes every write and notes the thread's processor time after each batch, as the C loop does. Written on the vCPU's thread, read after <see cref="Done"/>.
/// </summary>
public sealed class BatchClock(int batches, int writesPerBatch) : IPioDevice, IMmioDevice, IDisposable
{
    private readonly long[] _marks = new long[batches + 1];
    private int _mark;

    // The first write only starts the clock.
    private int _left = 1;

    /// <summary>Set by the last write.</summary>
    public ManualResetEventSlim Done { get; } = new();

    /// <summary>Nanoseconds per exit of each batch.</summary>
    public double[] NanosecondsPerExit()
    {
        double[] result = new double[batches];
        for (int i = 0; i < batches; i++)
        {
            result[i] = (double)(_marks[i + 1] - _marks[i]) / writesPerBatch;
        }

        return result;
    }

    public BusStatus In(ushort offset, Span<byte> data) => BusStatus.NoRegister;

    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data) => Count();

    public BusStatus Read(ulong offset, Span<byte> data) => BusStatus.NoRegister;

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => Count();

    public void Dispose() => Done.Dispose();

    private BusStatus Count()
    {
        if (--_left == 0 && _mark < _marks.Length)
        {
            _marks[_mark++] = Now();
            _left = writesPerBatch;
            if (_mark == _marks.Length)
            {
                Done.Set();
            }
        }

        return BusStatus.Ok;
    }

    private static unsafe long Now()
    {
        // SAFETY: the kernel fills the local.
        timespec time;
        _ = Libc.clock_gettime(LibcConstants.CLOCK_THREAD_CPUTIME_ID, &time);
        return (time.tv_sec * 1_000_000_000) + time.tv_nsec;
    }
}
