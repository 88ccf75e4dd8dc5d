using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Block;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Serve.Tests;

/// <summary>A disk that this process serves, and our own front end with a driver on it.</summary>
internal sealed class ServedDisk : IDisposable
{
    public const int ImageBytes = 1 << 20, Block = 4096, SectorsPerBlock = Block / 512;
    public const ulong Header = Data, Status = Data + 0x1000, Buffer = Data + 0x2000;

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-serve").FullName;
    private readonly ServeOptions _options;
    private readonly string _more;
    private VhostUserBackend? _frontEnd;

    /// <param name="more">Of the image: <c>,readonly=on</c>.</param>
    public ServedDisk(ServeOptions? options = null, string more = "")
    {
        _options = options ?? new ServeOptions();
        _more = more;
        File.WriteAllBytes(Image, new byte[ImageBytes]);
        Host = Serve();
    }

    public string Image => Path.Combine(_folder, "image");

    public string Socket => Path.Combine(_folder, "socket");

    public ServeHost Host { get; private set; }

    public Exception? Failure { get; private set; }

    public VirtioDeviceBed? Bed { get; private set; }

    /// <summary>The back end ends and another takes its place.</summary>
    public void Restart()
    {
        Host.Dispose();
        Host = Serve();
    }

    /// <summary>Protocol features that the front end does not know.</summary>
    public VhostUserFeatures Withheld { get; init; }

    public VhostUserBackend Connect()
    {
        VhostUserOptions options = VhostUserOptions.Disk(256);
        return VhostUserBackend.Connect(Socket, options with { Wanted = options.Wanted & ~Withheld });
    }

    /// <summary>Of the driver that was started.</summary>
    public VhostUserBackend FrontEnd => _frontEnd!;

    /// <summary>A driver on the disk's first queues.</summary>
    public VirtioDeviceBed Start(ulong features, int queues = 1)
    {
        _frontEnd = Connect();
        VirtioDeviceBed bed = Bed = new VirtioDeviceBed(
            loop => new VhostUserBlock(new VirtioBlockOptions { Queues = queues }, _frontEnd, loop, NullLogger.Instance), features);
        bed.Start();
        return bed;
    }

    public void Disconnect()
    {
        Bed = null;
        _frontEnd?.Dispose();
    }

    /// <summary>One request; its status.</summary>
    public int Run(int queue, uint type, int block, bool indirect = false)
    {
        VirtioDeviceBed bed = Bed!;
        Prepare(bed, type, block);
        if (!bed.Drivers[queue].TryAdd(Chain(type), cookie: 7, indirect))
            throw new InvalidOperationException("the ring is full");
        bed.Submit(queue);
        Assert.Equal(7, bed.Take(queue, out _));
        return bed.ReadMemory(Status, 1)[0];
    }

    /// <summary>Headers of a request of one block that is not submitted yet.</summary>
    public static void Prepare(VirtioDeviceBed bed, uint type, int block)
    {
        bed.WriteMemory(Status, [0xff]);
        byte[] header = new byte[16];
        BitConverter.TryWriteBytes(header, type);
        BitConverter.TryWriteBytes(header.AsSpan(8), (ulong)block * SectorsPerBlock);
        bed.WriteMemory(Header, header);
    }

    public static DriverBuffer[] Chain(uint type) => type == VirtioBlk.VIRTIO_BLK_T_FLUSH
        ? [new(Header, 16, false), new(Status, 1, true)]
        : [new(Header, 16, false), new(Buffer, Block, type == VirtioBlk.VIRTIO_BLK_T_IN), new(Status, 1, true)];

    public static byte[] Pattern(int seed)
    {
        byte[] bytes = new byte[Block];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public void Dispose()
    {
        Bed?.Dispose();
        _frontEnd?.Dispose();
        Host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private ServeHost Serve()
    {
        IServedType type = ServedTypes.Find("blk");
        var host = new ServeHost(_options, NullLoggerFactory.Instance, error => Failure = error);
        _ = new PortFactory(host).Add(type, OptionText.Parse(type.PortOption, Image + _more, "--image"), Socket);
        return host;
    }
}
