using KvmSharp.Backends.Block;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Machine.Modules;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Serve.Blk;

/// <summary>A disk that is served.</summary>
internal sealed class BlkDevice : IServedDevice
{
    /// <summary>More than front ends use by default; the guest has at most what its front end asks for.</summary>
    private const int DefaultQueues = 8;

    /// <summary>Vrings of this size are what front ends make by default; chains fit into them.</summary>
    private const ushort QueueSize = 128;

    private readonly RawImage _image;
    private readonly VirtioBlock _disk;

    public BlkDevice(string name, DiskConfig config, IReadOnlyList<EventLoop> loops)
    {
        _image = DiskImages.Open(config);
        try
        {
            // Nobody is woken up to look at the size: whoever changes it says so.
            var options = new VirtioBlockOptions { Name = name, Serial = config.Serial, Queues = config.Queues ?? DefaultQueues, QueueSize = QueueSize, CapacityCheckNs = 0 };
            _disk = new VirtioBlock(options, DiskImages.Limited(_image, config), loops);
        }
        catch
        {
            _image.Dispose();
            throw;
        }
    }

    public IVirtioDevice Device => _disk;

    public int QueueNumber => _disk.Identity.QueueSizes.Count;

    public void OnResized() => _disk.CheckCapacity();

    public void Dispose()
    {
        _disk.Dispose();
        _image.Dispose();
    }
}
