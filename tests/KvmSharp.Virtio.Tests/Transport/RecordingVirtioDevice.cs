using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Transport;

/// <summary>A device that serves nothing and writes down what its transport says.</summary>
internal sealed class RecordingVirtioDevice : IVirtioDevice
{
    public byte[] Config { get; } = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    public List<string> Calls { get; } = [];

    public VirtioContext? Context { get; private set; }

    public Dictionary<int, VirtQueueBinding> Running { get; } = [];

    public VirtioIdentity Identity { get; } = new()
    {
        Name = "recorder", DeviceId = 42, DeviceFeatures = 0x15, ConfigLength = 10, QueueSizes = [8, 256], PciBaseClass = 2, PciSubclass = 0,
    };

    public void ReadConfig(uint offset, Span<byte> data) => Config.AsSpan((int)offset, data.Length).CopyTo(data);

    public void WriteConfig(uint offset, ReadOnlySpan<byte> data) => data.CopyTo(Config.AsSpan((int)offset));

    public void Activate(VirtioContext context)
    {
        Context = context;
        Calls.Add($"activate {context.Features:x}");
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        Running.Add(index, binding);
        Calls.Add($"start {index} size {binding.Config.Size} at {binding.State.AvailCursor:x}");
    }

    public VirtQueueState? StopQueue(int index)
    {
        Calls.Add($"stop {index}");
        return Running.Remove(index) ? new VirtQueueState(5, 5) : null;
    }

    public void Reset()
    {
        Assert.Empty(Running);
        Context = null;
        Calls.Add("reset");
    }

    public void Dispose() => Calls.Add("dispose");
}
