using System.Diagnostics;
using System.Globalization;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Cli.Tests.Support;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Block;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Mono.Unix.Native;
using static KvmSharp.Abi.Virtio.VirtioNet;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Cli.Tests;

public sealed class ServeTests : IDisposable
{
    private const int Block = 4096, Blocks = 64;
    private const ulong Header = Data, Status = Data + 0x1000, Content = Data + 0x2000;

    private readonly ScratchFolder _scratch = new();
    private string[] _command;
    private Process? _server;
    private Thread? _killer;

    public ServeTests()
    {
        _scratch.Write("image", new byte[Block * Blocks]);
        _command = ["serve", "blk", "--image", _scratch["image"], "--socket", _scratch["socket"]];
    }

    public void Dispose()
    {
        _killer?.Join();
        if (_server is { HasExited: false })
            _server.Kill();
        _server?.Dispose();
        _scratch.Dispose();
    }

    [Fact]
    public void Signal_EndsItWithoutATrace()
    {
        Serve();
        CliProgram.Signal(_server!, Signum.SIGTERM);

        CliResult result = CliProgram.Finish(_server!);
        _server = null;

        Assert.Equal((0, "", ""), (result.Status, result.Output, result.Error));
        Assert.False(File.Exists(_scratch["socket"]));
    }

    /// <summary>Each write is answered, with success, and in the image, whichever process it met.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    public void KilledWhileWriting_AndStartedAgain_LosesNothing(ulong features)
    {
        const int Deaths = 3, Writes = 40;
        Serve();
        using VhostUserBackend frontEnd = VhostUserBackend.Connect(_scratch["socket"], VhostUserOptions.Disk(256));
        using VirtioDeviceBed bed = new(loop => new VhostUserBlock(new VirtioBlockOptions { Queues = 1 }, frontEnd, loop, NullLogger.Instance), features);
        bed.Start();
        int written = 0;
        for (int life = 0; life <= Deaths; life++)
        {
            for (int i = 0; i < Writes; i++, written++)
            {
                if (i == Writes / 2 && life < Deaths)
                    Replace();
                Write(bed, written);
            }
        }

        Assert.Empty(bed.Interrupt.Faults);
        byte[] image = File.ReadAllBytes(_scratch["image"]);
        for (int block = written - Blocks; block < written; block++)
            Assert.Equal((byte)block, image[block % Blocks * Block]);
    }

    /// <summary>Buffers of both ways come back once and in order, and frames are whole, whichever process had them.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc | VirtioFeatures.InOrder)]
    public void KilledWhileFramesPass_AndStartedAgain_LosesNoBuffer(ulong ring)
    {
        const int Deaths = 6, Frames = 500;
        _command = ["serve", "net", "--port", $"null,generate={FrameTraffic.FrameBytes}", "--socket", _scratch["socket"]];
        Serve();
        VhostUserNet end = new(VhostUserBackend.Connect(_scratch["socket"], VhostUserOptions.Net(256, null)), 1, null);
        VirtioNetOptions options = new() { Mac = new MacAddress(0x5254_0012_3456), LinkCheckNs = 0 };
        using VirtioDeviceBed bed = new(loop => new VhostUserNetDevice(options, end.Backend, end, loop), ring | 1UL << VIRTIO_NET_F_MRG_RXBUF, queueSize: 64);
        bed.Start();
        FrameTraffic traffic = new(bed);
        for (int life = 0; life <= Deaths; life++)
        {
            traffic.Pass(Frames, CliProgram.TimeoutMs);
            if (life < Deaths)
                Replace();
        }

        Assert.Empty(bed.Interrupt.Faults);
    }

    /// <summary>With a front end that asks for nothing. What the runtime has to do after the start is not ours.</summary>
    [Fact]
    public void Idle_WakesNoThread()
    {
        Serve();
        using VhostUserBackend frontEnd = VhostUserBackend.Connect(_scratch["socket"], VhostUserOptions.Disk(256));
        using VirtioDeviceBed bed = new(loop => new VhostUserBlock(new VirtioBlockOptions { Queues = 1 }, frontEnd, loop, NullLogger.Instance), 0);
        bed.Start();
        Write(bed, 0);

        Assert.True(SpinWait.SpinUntil(IsQuiet, CliProgram.TimeoutMs), "its threads wake again and again");
    }

    [Theory]
    [InlineData(new[] { "serve" }, "serve what?")]
    [InlineData(new[] { "serve", "toast" }, "'toast' cannot be served")]
    [InlineData(new[] { "serve", "blk" }, "serve blk needs --image and --socket, or --control")]
    [InlineData(new[] { "serve", "blk", "--image", "a" }, "1 times --image and 0 times --socket")]
    [InlineData(new[] { "serve", "blk", "--image", "/nonexistent", "--socket", "s" }, "disk image /nonexistent does not exist")]
    [InlineData(new[] { "serve", "blk", "--image", "a,color=red", "--socket", "s" }, "--image: unknown key 'color'")]
    [InlineData(new[] { "serve", "blk", "--iothreads", "0", "--control", "c" }, "--iothreads must be a number between 1 and 64, not '0'")]
    [InlineData(new[] { "bench", "vhost-user" }, "bench vhost-user needs --socket")]
    [InlineData(new[] { "bench", "vhost-user", "--socket", "/nonexistent/s" }, "nothing listens on /nonexistent/s")]
    public void Wrong_CommandLine_SaysSoInOneLine(string[] args, string error)
    {
        CliResult result = CliProgram.Run(args);

        Assert.StartsWith("kvmsharp: " + error, result.Error, StringComparison.Ordinal);
        Assert.Equal(2, result.Status);
    }

    private void Serve()
    {
        _server = CliProgram.Start(_command);
        Assert.True(SpinWait.SpinUntil(() => ListeningSockets.Contain(_scratch["socket"]), CliProgram.TimeoutMs));
    }

    private bool IsQuiet()
    {
        try
        {
            long before = ContextSwitches();
            Thread.Sleep(2000);
            return ContextSwitches() == before;
        }
        catch (IOException)
        {
            // A thread has ended.
            return false;
        }
    }

    /// <summary>Of all threads of the program.</summary>
    private long ContextSwitches() => Directory.EnumerateDirectories($"/proc/{_server!.Id}/task").SelectMany(task => File.ReadLines(task + "/status"))
        .Where(line => line.Contains("ctxt_switches", StringComparison.Ordinal)).Sum(line => long.Parse(line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..], CultureInfo.InvariantCulture));

    /// <summary>At a moment that is not known, with a request on its way or not.</summary>
    private void Replace()
    {
        // It may be that slow, and the process that it is to kill that fast.
        _killer?.Join();
        _killer = new Thread(() =>
        {
            CliProgram.Signal(_server!, Signum.SIGKILL);
            _server!.WaitForExit();
            _server.Dispose();
            Serve();
        });
        _killer.Start();
        _killer.Join(Random.Shared.Next(0, 40));
    }

    private static void Write(VirtioDeviceBed bed, int number)
    {
        byte[] header = new byte[16];
        header[0] = 1;
        BitConverter.TryWriteBytes(header.AsSpan(8), (ulong)(number % Blocks) * Block / 512);
        bed.WriteMemory(Header, header);
        bed.WriteMemory(Status, [0xFF]);
        byte[] content = new byte[Block];
        content.AsSpan().Fill((byte)number);
        bed.WriteMemory(Content, content);
        Assert.True(bed.Drivers[0].TryAdd([new(Header, 16, false), new(Content, Block, false), new(Status, 1, true)], number));
        bed.Submit(0);
        Assert.Equal(number, bed.Take(0, out _));
        Assert.Equal(0, bed.ReadMemory(Status, 1)[0]);
    }
}
