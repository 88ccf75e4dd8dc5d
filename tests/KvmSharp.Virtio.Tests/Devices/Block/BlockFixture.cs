using System.Collections.Concurrent;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Block;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>One block queue with its worker on a loop of its own, and the driver side to use it.</summary>
internal sealed unsafe class BlockFixture : IBlockQueueOwner, IDisposable
{
    public const ulong Data = 0x40_0000;

    private const ulong Headers = 0x20_0000;
    private const ulong SlotBytes = 64;

    private readonly SemaphoreSlim _signals = new(0);
    private BlockQueueWorker? _worker;

    public BlockFixture(IBlockBackend backend, ulong features = 0, ushort size = 16, long pollMaxNs = 0)
    {
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 0x100_0000 });
        Driver = DriverQueue.Create(Memory, 0x1_0000, size, features);
        Disk = new BlockDisk(backend, [.. "serial-0123456789"u8, 0, 0, 0]);
        Loop = new EventLoop(new EventLoopOptions { Name = "blk-test", PollMaxNs = pollMaxNs, OnFailure = error => Failure = error });
        Loop.Start();
        Start(VirtQueueState.Initial(features));
    }

    public GuestMemory Memory { get; }

    public DriverQueue Driver { get; }

    public BlockDisk Disk { get; }

    public EventLoop Loop { get; }

    public EventFd Kick { get; } = new();

    public Exception? Failure { get; private set; }

    public ConcurrentQueue<VirtQueueFault> Faults { get; } = [];

    public int Malformed { get; private set; }

    public int Signals { get; private set; }

    public int InFlight => _worker!.InFlight;

    public void SignalQueue(int index)
    {
        Signals++;
        _signals.Release();
    }

    public void OnQueueFault(int index, VirtQueueFault fault)
    {
        Faults.Enqueue(fault);
        _signals.Release();
    }

    public void OnMalformedRequest(int index) => Malformed++;

    public void Start(VirtQueueState state)
    {
        VirtQueueConfig config = Driver.ToConfig();
        _worker = new BlockQueueWorker(this, 0, Driver.Open(state), config.SegmentLimit, Kick, Loop, Disk);
        _worker.Start();
    }

    public VirtQueueState Stop()
    {
        VirtQueueState state = _worker!.Stop();
        _worker.Dispose();
        _worker = null;
        return state;
    }

    /// <summary>Adds a request whose status byte starts as 0xEE; publish with <see cref="Kickoff"/>.</summary>
    public void Add(int cookie, uint type, ulong sector, params DriverBuffer[] data) => Add(cookie, type, sector, indirect: false, data);

    public void Add(int cookie, uint type, ulong sector, bool indirect, params DriverBuffer[] data)
    {
        ulong header = Headers + SlotBytes * (uint)cookie;
        Assert.True(Memory.TryWrite(new GuestAddress(header), new virtio_blk_outhdr { type = type, sector = sector }));
        Assert.True(Memory.TryWrite(new GuestAddress(header + 16), (byte)0xEE));
        DriverBuffer[] chain = [new DriverBuffer(header, 16, false), .. data, new DriverBuffer(header + 16, 1, true)];
        Assert.True(Driver.TryAdd(chain, cookie, indirect));
    }

    public void Kickoff()
    {
        if (Driver.Publish())
            Kick.Signal();
    }

    /// <summary>Waits for the next used chain; its cookie.</summary>
    public int Take(out uint written)
    {
        for (int attempt = 0; attempt < 400; attempt++)
        {
            if (Driver.TryTakeUsed(out int cookie, out written))
                return cookie;
            if (Driver.TryEnableInterrupts())
                _signals.Wait(50);
        }

        throw new TimeoutException($"nothing was used; loop failure: {Failure}");
    }

    public byte Status(int cookie)
    {
        Assert.True(Memory.TryRead(new GuestAddress(Headers + SlotBytes * (uint)cookie + 16), out byte status));
        return status;
    }

    /// <summary>Runs one request; its status.</summary>
    public byte Run(uint type, ulong sector, params DriverBuffer[] data)
    {
        Add(1, type, sector, data);
        Kickoff();
        Assert.Equal(1, Take(out _));
        return Status(1);
    }

    public Span<byte> Bytes(ulong address, int length)
    {
        Assert.True(Memory.TryGetSpan(new GuestAddress(address), length, out Span<byte> span));
        return span;
    }

    public static DriverBuffer Out(uint length, ulong offset = 0) => new(Data + offset, length, false);

    public static DriverBuffer In(uint length, ulong offset = 0) => new(Data + offset, length, true);

    /// <summary>The payload of a discard or write zeroes, at <see cref="Data"/>.</summary>
    public DriverBuffer Range(ulong sector, uint count, uint flags = 0)
    {
        Assert.True(Memory.TryWrite(new GuestAddress(Data), new virtio_blk_discard_write_zeroes { sector = sector, num_sectors = count, flags = flags }));
        return Out((uint)sizeof(virtio_blk_discard_write_zeroes));
    }

    public void Dispose()
    {
        if (_worker is not null)
            Stop();
        Loop.Dispose();
        Kick.Dispose();
        Disk.Backend.Dispose();
        Memory.Dispose();
    }
}
