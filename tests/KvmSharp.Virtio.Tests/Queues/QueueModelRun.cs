using System.Text;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>
/// Runs one sequence of operations against one kind of queue and writes down all that driver and device can observe. Also
/// checks what must hold by itself: an armed side is notified exactly once, a disarmed one never.
/// </summary>
internal sealed class QueueModelRun : IDisposable
{
    private readonly QueueFixture _fixture;
    private readonly ulong _features;
    private readonly List<VirtQueueToken> _held = [];
    private readonly StringBuilder _trace = new();
    private bool _driverArmed = true;
    private bool _deviceArmed;
    private bool _staged;
    private int _cookie;

    public QueueModelRun(ushort size, ulong features)
    {
        _features = features;
        _fixture = new QueueFixture(size, features);
        Assert.True(_fixture.Driver.TryEnableInterrupts());
        _fixture.Device.DisableNotifications();
    }

    public string Trace => _trace.ToString();

    private VirtQueue Device => _fixture.Device;

    private DriverQueue Driver => _fixture.Driver;

    public void Step(uint operation)
    {
        uint argument = operation / 16;
        switch (operation % 16)
        {
            case 0 or 1 or 2 or 3:
                Offer(argument);
                break;
            case 4 or 5 or 6:
                Pop();
                break;
            case 7:
                PopAndPutBack();
                break;
            case 8 or 9 or 10:
                Push(argument);
                break;
            case 11:
                Publish();
                break;
            case 12:
                TakeUsed();
                break;
            case 13:
                ArmDriver(argument % 2 == 0);
                break;
            case 14:
                ArmDevice(argument % 2 == 0);
                break;
            default:
                SaveAndReopen();
                break;
        }

        Assert.Equal(VirtQueueFault.None, Device.Fault);
    }

    /// <summary>Finishes everything; every chain must come back.</summary>
    public void Finish()
    {
        Driver.Publish();
        do
        {
            while (_held.Count > 0)
                Push(0);
            Publish();
            Pop();
        }
        while (_held.Count > 0);
        TakeUsed();
        Assert.Equal(Driver.Size, Driver.Free);
        Assert.Equal(0, Device.InFlight);
    }

    public void Dispose() => _fixture.Dispose();

    private void Offer(uint argument)
    {
        int count = 1 + (int)(argument % 4);
        int readable = (int)(argument / 4 % (uint)(count + 1));
        bool indirect = (_features & VirtioFeatures.IndirectDesc) != 0 && argument / 32 % 2 == 0;
        DriverBuffer[] buffers = new DriverBuffer[count];
        for (int i = 0; i < count; i++)
            buffers[i] = new DriverBuffer(QueueFixture.Data + (argument * 64 + (uint)i * 16) % 0x10_0000, argument / 7 % 50 * (uint)(i + 1), i >= readable);
        bool added = Driver.TryAdd(buffers, _cookie, indirect);
        Say($"add {added} free {Driver.Free}");
        if (!added)
            return;
        _cookie++;
        if (argument / 64 % 4 == 0)
            return;
        bool kick = Driver.Publish();
        // A split queue with event index cannot take back an armed event.
        bool exact = _deviceArmed || (_features & (VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)) != VirtioFeatures.EventIdx;
        if (exact)
            Assert.Equal(_deviceArmed, kick);
        if (kick)
        {
            Device.DisableNotifications();
            _deviceArmed = false;
        }
    }

    private void Pop()
    {
        if (!Device.TryPop(out DescriptorChain chain))
        {
            Say("empty");
            return;
        }

        Say($"pop {chain.ReadableBytes} {chain.WritableBytes}");
        foreach (Core.Memory.IoVec segment in chain.Readable)
            Say($" r {_fixture.GuestAddressOf(segment):x} {segment.Length}");
        foreach (Core.Memory.IoVec segment in chain.Writable)
            Say($" w {_fixture.GuestAddressOf(segment):x} {segment.Length}");
        VirtQueueToken token = chain.Token;
        Assert.DoesNotContain(_held, held => held.Slot == token.Slot);
        Assert.InRange(token.Slot, 0, Driver.Size - 1);
        _held.Add(token);
    }

    private void PopAndPutBack()
    {
        bool popped = Device.TryPop(out DescriptorChain chain);
        Say($"peek {popped} {chain.ReadableBytes}");
        if (popped)
            Device.Unpop(chain.Token);
    }

    private void Push(uint argument)
    {
        if (_held.Count == 0)
            return;
        int index = (int)(argument % (uint)_held.Count);
        Device.Push(_held[index], argument % 1000);
        _held.RemoveAt(index);
        _staged = true;
    }

    private void Publish()
    {
        int before = Device.InFlight;
        bool wanted = Device.WantsInterrupt;
        bool interrupt = Device.Publish();
        Assert.True(wanted || !interrupt);
        Say($"publish {interrupt} {before}");
        if (!_staged || !_driverArmed)
            Assert.False(interrupt);
        if (_staged && _driverArmed && (_features & VirtioFeatures.InOrder) == 0)
            Assert.True(interrupt);
        _staged = false;
        if (interrupt)
            ArmDriver(false);
    }

    private void TakeUsed()
    {
        while (Driver.TryTakeUsed(out int cookie, out uint written))
            Say($"used {cookie} {written}");
    }

    private void ArmDriver(bool armed)
    {
        _driverArmed = armed;
        if (!armed)
        {
            Driver.DisableInterrupts();
            return;
        }

        while (!Driver.TryEnableInterrupts())
            TakeUsed();
    }

    private void ArmDevice(bool armed)
    {
        if (armed)
        {
            _deviceArmed = Device.TryEnableNotifications();
            Say($"arm {_deviceArmed}");
        }

        if (!armed || !_deviceArmed)
        {
            Device.DisableNotifications();
            _deviceArmed = false;
        }
    }

    private void SaveAndReopen()
    {
        if (Device.InFlight != 0)
            return;
        Publish();
        _fixture.Reopen(Device.Save());
        Say("reopen");
    }

    private void Say(string what) => _trace.Append(what).Append('\n');
}
