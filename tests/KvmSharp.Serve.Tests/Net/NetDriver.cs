using KvmSharp.Abi;
using KvmSharp.Backends.Vhost;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>A driver of queue pairs in memory of its own, over our front end.</summary>
internal sealed unsafe class NetDriver : IDisposable
{
    public const ushort QueueSize = 32;
    public const int HeaderBytes = 12;

    private const ulong Buffers = 0x100_0000, SlotBytes = 0x1_1000, MemoryBytes = 0x1000_0000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly ulong _features;
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
    private readonly DriverQueue[] _queues;
    private readonly EventFd[] _kicks, _calls, _errors;
    private VhostUserBackend _frontEnd;

    public NetDriver(VhostUserBackend frontEnd, ulong features, int pairs)
    {
        _frontEnd = frontEnd;
        _features = features | VirtioFeatures.Version1;
        _queues = new DriverQueue[2 * pairs];
        _kicks = [.. _queues.Select(_ => new EventFd())];
        _calls = [.. _queues.Select(_ => new EventFd())];
        _errors = [.. _queues.Select(_ => new EventFd())];
        ulong at = 0x10_0000;
        for (int i = 0; i < _queues.Length; i++)
        {
            _queues[i] = DriverQueue.Create(_memory, at, QueueSize, _features);
            at = _queues[i].End;
        }

        Attach();
    }

    /// <summary>The rings as they are, to another back end, to which they are said to be new: not all front ends know better.</summary>
    public void Reattach(Func<VhostUserBackend> connect)
    {
        _frontEnd.Dispose();
        _frontEnd = connect();
        Attach();
    }

    /// <summary>The rings as they are, to the back end that is now behind the same socket.</summary>
    public void Resume()
    {
        _frontEnd.GiveUp();
        Assert.False(_frontEnd.LosesPositions);
        Assert.True(_frontEnd.TryReconnect(out _));
    }

    /// <summary>Whether the driver uses a queue pair.</summary>
    public void Enable(int pair, bool enabled)
    {
        Assert.True(_frontEnd.TryEnableVring(2 * pair, enabled));
        Assert.True(_frontEnd.TryEnableVring(2 * pair + 1, enabled));
    }

    /// <summary>Gives the device a buffer of these many bytes for frames.</summary>
    public void Post(int pair, int slot, uint bytes, bool indirect = false)
    {
        int queue = 2 * pair;
        if (!_queues[queue].TryAdd([new DriverBuffer(AddressOf(queue, slot), bytes, Writable: true)], slot, indirect))
            throw new InvalidOperationException("the ring is full");
        Publish(queue);
    }

    /// <summary>Sends one frame from a slot, cut where <paramref name="cut"/> says, and waits until the device has it.</summary>
    public void Send(int pair, ReadOnlySpan<byte> frame, uint cut = HeaderBytes, bool indirect = false)
    {
        int queue = 2 * pair + 1;
        ulong address = AddressOf(queue, 0);
        Write(address, new byte[HeaderBytes]);
        Write(address + HeaderBytes, frame);
        uint length = HeaderBytes + (uint)frame.Length;
        DriverBuffer[] chain = cut < length
            ? [new(address, cut, false), new(address + cut, length - cut, false)]
            : [new(address, length, false)];
        if (!_queues[queue].TryAdd(chain, 1, indirect))
            throw new InvalidOperationException("the ring is full");
        Publish(queue);
        Assert.Equal(1, Take(queue, out _));
    }

    /// <summary>The next frame, put together, with what its header says about buffers. Throws <see cref="TimeoutException"/>.</summary>
    public byte[] Receive(int pair, out int buffers)
    {
        int queue = 2 * pair;
        List<byte> bytes = [];
        buffers = 1;
        for (int i = 0; i < buffers; i++)
        {
            int slot = Take(queue, out uint written);
            byte[] part = new byte[written];
            _ = _memory.TryRead(new GuestAddress(AddressOf(queue, slot)), part);
            bytes.AddRange(part);
            if (i == 0)
                buffers = BitConverter.ToUInt16(part, 10);
        }

        return [.. bytes.Skip(HeaderBytes)];
    }

    /// <summary>Nothing was received, as of now.</summary>
    public bool IsQuiet(int pair) => !_queues[2 * pair].TryTakeUsed(out _, out _);

    public void Publish(int queue)
    {
        if (_queues[queue].Publish())
            _kicks[queue].Signal();
    }

    /// <summary>One chain again and again: adds it as often as it fits, waits for all.</summary>
    public void Flood(int pair, int rounds, uint bytes)
    {
        int queue = 2 * pair + 1;
        DriverBuffer[] chain = [new(AddressOf(queue, 0), HeaderBytes + bytes, false)];
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < QueueSize; i++)
                _queues[queue].TryAdd(chain, i);
            Publish(queue);
            for (int i = 0; i < QueueSize; i++)
                Take(queue, out _);
        }
    }

    /// <summary>Says of each used receive buffer that it may be used again.</summary>
    public void Recycle(int pair, uint bytes)
    {
        int queue = 2 * pair;
        while (_queues[queue].TryTakeUsed(out int slot, out _))
            _queues[queue].TryAdd([new DriverBuffer(AddressOf(queue, slot), bytes, Writable: true)], slot);
        Publish(queue);
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes) => Assert.True(_memory.TryWrite(new GuestAddress(address), bytes));

    /// <summary>Has the device note from now on which pages it writes.</summary>
    public VhostUserLog StartLog()
    {
        VhostUserLog log = new(_memory);
        Assert.True(_frontEnd.TryStartLog(log));
        return log;
    }

    /// <summary>The driver kicks, whether it has anything or not.</summary>
    public void Kick(int queue) => _kicks[queue].Signal();

    /// <summary>Memory that is shared is gone from the file. From now on nothing here may look at it, either.</summary>
    public void TakeMemoryAway() => Assert.Equal(0, Libc.ftruncate(_memory.File.Value, 0));

    /// <summary>The next interrupt of the queue blocks whoever sends it.</summary>
    public void BlockInterrupts(int queue)
    {
        int call = _calls[queue].Value;
        ulong full = ulong.MaxValue - 1;
        _calls[queue].Drain();
        Assert.Equal(sizeof(ulong), Libc.write(call, &full, sizeof(ulong)));
        Assert.Equal(0, Libc.fcntl(call, LibcConstants.F_SETFL, Libc.fcntl(call, LibcConstants.F_GETFL, 0) & ~LibcConstants.O_NONBLOCK));
    }

    /// <summary>One frame from a slot, for which nobody waits.</summary>
    public void SendBlindly(int pair, uint bytes)
    {
        Assert.True(_queues[2 * pair + 1].TryAdd([new DriverBuffer(AddressOf(2 * pair + 1, 0), HeaderBytes + bytes, false)], 1));
        Publish(2 * pair + 1);
    }

    public static ulong AddressOf(int queue, int slot) => Buffers + (ulong)(queue * QueueSize + slot) * SlotBytes;

    public void Dispose()
    {
        _frontEnd.Dispose();
        foreach (EventFd line in _kicks.Concat(_calls).Concat(_errors))
            line.Dispose();
        _memory.Dispose();
    }

    private void Attach()
    {
        _frontEnd.SetFeatures(_features);
        _frontEnd.SetMemory(_memory);
        for (int i = 0; i < _queues.Length; i++)
        {
            _frontEnd.SetVringSize(i, QueueSize);
            _frontEnd.SetVringBase(i, VirtQueueState.Initial(_features).ToVringBase(packed: (_features & VirtioFeatures.RingPacked) != 0));
            _frontEnd.SetVringAreas(i, Areas(_queues[i]));
            _frontEnd.SetVringKick(i, _kicks[i]);
            _frontEnd.SetVringCall(i, _calls[i]);
            _frontEnd.SetVringError(i, _errors[i]);
            _frontEnd.StartVring(i);
        }
    }

    private int Take(int queue, out uint written)
    {
        long deadline = Environment.TickCount64 + (long)s_patience.TotalMilliseconds;
        while (Environment.TickCount64 < deadline)
        {
            if (_queues[queue].TryTakeUsed(out int cookie, out written))
                return cookie;
            Thread.Yield();
        }

        throw new TimeoutException($"queue {queue}: nothing was used");
    }

    private VhostAreas Areas(DriverQueue queue) => new(Area(queue.DescriptorArea), Area(queue.DriverArea), Area(queue.DeviceArea));

    private VhostArea Area(ulong address)
    {
        Assert.True(_memory.TryGetPointer(new GuestAddress(address), 1, out byte* host));
        return new VhostArea(new GuestAddress(address), (nint)host);
    }
}
