using KvmSharp.Abi;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Bench.Exits;

/// <summary>
/// The device under test: takes every access, notes the thread's processor time after each batch, as the C loop does, and sends the next interrupt
/// where there is one to send. Written on the vCPU's thread, read after <see cref="Done"/>.
/// </summary>
internal sealed class ExitClock(int batches, int perBatch) : IPioDevice, IMmioDevice, IDisposable
{
    private readonly long[] _marks = new long[batches + 1];
    private int _mark;

    // The first access only starts the clock.
    private int _left = 1;

    /// <summary>Set by the last access.</summary>
    public ManualResetEventSlim Done { get; } = new();

    /// <summary>Signalled at each exit, if there is one.</summary>
    public IMsiVector? Vector { get; set; }

    /// <summary>Sends a message at each exit, if there is one.</summary>
    public IInterruptFabric? Messages { get; set; }

    /// <summary>Nanoseconds per exit of each batch.</summary>
    public double[] NanosecondsPerExit()
    {
        double[] result = new double[batches];
        for (int i = 0; i < batches; i++)
            result[i] = (double)(_marks[i + 1] - _marks[i]) / perBatch;
        return result;
    }

    public BusStatus In(ushort offset, Span<byte> data) => Count();

    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data) => Count();

    public BusStatus Read(ulong offset, Span<byte> data) => Count();

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => Count();

    public void Dispose() => Done.Dispose();

    private BusStatus Count()
    {
        if (--_left == 0 && _mark < _marks.Length)
        {
            _marks[_mark++] = Now();
            _left = perBatch;
            if (_mark == _marks.Length)
            {
                Done.Set();
                return BusStatus.Ok;
            }
        }

        Vector?.Signal();
        Messages?.SendMsi(ExitGuest.LocalApic, ExitGuest.Vector);
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
