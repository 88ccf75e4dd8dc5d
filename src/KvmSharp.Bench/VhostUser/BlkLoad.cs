using System.Buffers.Binary;
using System.Diagnostics;
using KvmSharp.Backends.Vhost;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Bench.VhostUser;

/// <summary>
/// Front end and driver of a vhost-user disk without a guest: 4 KiB requests at random places through one split vring with event index, so many in flight,
/// completions polled for as a poll-mode driver does. What it measures is the back end.
/// </summary>
public sealed class BlkLoad(BlkLoadOptions options)
{
    private const ulong MemoryBytes = 16 << 20;
    private const ulong Version1 = 1UL << Abi.Virtio.VirtioConfig.VIRTIO_F_VERSION_1, EventIdx = 1UL << Abi.Virtio.VirtioRing.VIRTIO_RING_F_EVENT_IDX;

    /// <summary>Longest that no request is finished before the back end counts as dead.</summary>
    private const int PatienceMs = 10_000;

    /// <summary>Requests per second. Throws <see cref="BenchException"/> if the back end fails one or stops answering.</summary>
    public double Run(CancellationToken cancel)
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
        using VhostUserBackend backend = VhostUserBackend.Connect(options.Socket);
        using EventFd kick = new(), call = new(), error = new();
        byte[] capacity = new byte[sizeof(ulong)];
        if (!backend.TryReadConfig(capacity))
            throw new BenchException($"{options.Socket}: its back end says nothing of a disk");
        backend.SetFeatures(backend.Features & (Version1 | EventIdx));
        backend.SetMemory(memory);
        BlkDriver driver = new(memory, kick, options.Depth, options.Write, BinaryPrimitives.ReadUInt64LittleEndian(capacity));
        backend.SetVringSize(0, BlkDriver.RingSize);
        backend.SetVringBase(0, 0);
        backend.SetVringAreas(0, driver.Areas);
        backend.SetVringKick(0, kick);
        backend.SetVringCall(0, call);
        backend.SetVringError(0, error);
        backend.StartVring(0);
        driver.Fill();
        _ = Count(driver, options.Seconds * 200, cancel);
        long before = Stopwatch.GetTimestamp();
        long finished = Count(driver, options.Seconds * 1000, cancel);
        double seconds = Stopwatch.GetElapsedTime(before).TotalSeconds;
        _ = backend.TryStopVring(0, out _);
        return driver.Failed == 0 ? finished / seconds : throw new BenchException($"{driver.Failed} requests failed");
    }

    private static long Count(BlkDriver driver, int milliseconds, CancellationToken cancel)
    {
        const int RoundsPerClock = 256;
        long finished = 0, start = Environment.TickCount64, last = start;
        for (long now = start; now - start < milliseconds; now = Environment.TickCount64)
        {
            cancel.ThrowIfCancellationRequested();
            int some = 0;
            for (int round = 0; round < RoundsPerClock; round++)
                some += driver.Turn();
            finished += some;
            last = some > 0 ? now : last;
            if (now - last > PatienceMs)
                throw new BenchException($"the back end has not finished a request for {PatienceMs / 1000} s");
        }

        return finished;
    }
}
