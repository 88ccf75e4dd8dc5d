using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.TestKit.Virtio;

/// <summary>A device without a transport: memory, an event loop, and a driver side for each of its queues.</summary>
public sealed class VirtioDeviceBed : IDisposable
{
    /// <summary>Where buffers of tests can lie, up to the end of memory.</summary>
    public const ulong Data = 0x800_0000;

    public const ulong MemoryBytes = 0x1000_0000;

    private readonly EventFd[] _kicks;

    public VirtioDeviceBed(Func<EventLoop, IVirtioDevice> create, ulong features, ushort queueSize = 16, long pollMaxNs = 0)
    {
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
        Loop = new EventLoop(new EventLoopOptions { Name = "test-io", PollMaxNs = pollMaxNs, OnFailure = exception => LoopFailure = exception });
        Loop.Start();
        Device = create(Loop);
        Context = new VirtioContext(features | VirtioFeatures.Version1, Memory, Interrupt, Interrupt);
        Drivers = new DriverQueue[Device.Identity.QueueSizes.Count];
        _kicks = new EventFd[Drivers.Length];
        ulong at = 0x10_0000;
        for (int i = 0; i < Drivers.Length; i++)
        {
            Drivers[i] = DriverQueue.Create(Memory, at, Math.Min(queueSize, Device.Identity.QueueSizes[i]), Context.Features);
            at = Drivers[i].End;
            _kicks[i] = new EventFd();
        }
    }

    public GuestMemory Memory { get; }

    public EventLoop Loop { get; }

    public Exception? LoopFailure { get; private set; }

    public IVirtioDevice Device { get; }

    public FakeVirtioInterrupt Interrupt { get; } = new();

    public VirtioContext Context { get; }

    public DriverQueue[] Drivers { get; }

    /// <summary>Activates the device and starts all its queues.</summary>
    public void Start()
    {
        Device.Activate(Context);
        for (int i = 0; i < Drivers.Length; i++)
            StartQueue(i, VirtQueueState.Initial(Context.Features));
    }

    public void StartQueue(int index, VirtQueueState state)
    {
        Device.StartQueue(index, new VirtQueueBinding(index, Drivers[index].ToConfig(), _kicks[index], state, Context));
        _kicks[index].Signal();
    }

    /// <summary>What a driver does after adding: makes available and kicks if the device wants it.</summary>
    public void Submit(int index)
    {
        if (Drivers[index].Publish())
            _kicks[index].Signal();
    }

    public void Kick(int index) => _kicks[index].Signal();

    /// <summary>Waits for the next used chain. Throws <see cref="TimeoutException"/>.</summary>
    public int Take(int index, out uint written)
    {
        while (true)
        {
            if (Drivers[index].TryTakeUsed(out int cookie, out written))
                return cookie;
            if (Drivers[index].TryEnableInterrupts() && !Interrupt.WaitForQueue(index))
                throw new TimeoutException($"queue {index}: nothing was used");
        }
    }

    public byte[] ReadMemory(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        return Memory.TryRead(new GuestAddress(address), bytes) ? bytes : throw new InvalidOperationException();
    }

    public void WriteMemory(ulong address, ReadOnlySpan<byte> bytes)
    {
        if (!Memory.TryWrite(new GuestAddress(address), bytes))
            throw new InvalidOperationException();
    }

    public void Dispose()
    {
        for (int i = 0; i < Drivers.Length; i++)
            Device.StopQueue(i);
        Device.Reset();
        Device.Dispose();
        Loop.Dispose();
        foreach (EventFd kick in _kicks)
            kick.Dispose();
        Memory.Dispose();
    }
}
