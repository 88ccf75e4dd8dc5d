using System.Text.Json;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Tracing;
using KvmSharp.TestKit;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>A trace takes the records of the whole process, so these tests run alone.</summary>
[CollectionDefinition(nameof(BlockTraceTests), DisableParallelization = true)]
[Collection(nameof(BlockTraceTests))]
public sealed class BlockTraceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-trace-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(BlockEngine.Auto)]
    [InlineData(BlockEngine.Threads)]
    [InlineData(BlockEngine.Inline)]
    public void Requests_OfEveryKind_AreSubmittedAndCompletedOnce(BlockEngine engine)
    {
        const int each = 100;
        string image = Path.Combine(_folder, "disk.img"), file = Path.Combine(_folder, "trace.json");
        File.WriteAllBytes(image, new byte[1 << 20]);
        using (TraceSession.Start(new TraceOptions { Path = file, ProcessName = "test", Logger = NullLogger.Instance }))
        using (BlockFixture fixture = new(RawImage.Open(new RawImageOptions { Path = image, Engine = engine })))
        {
            for (uint i = 0; i < each; i++)
            {
                Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_OUT, i, BlockFixture.Out(512)));
                Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_IN, 2 * i, BlockFixture.In(1024)));
                Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_FLUSH, 0));
            }
        }

        TraceDocument trace = TraceDocument.Read(file);
        JsonElement[] completed = trace.CompletedRequests();
        int loop = trace.ThreadOf("blk-test");
        Assert.Equal(0, trace.Lost);
        Assert.All(trace.OfCategory("io"), e => Assert.Equal(loop, e.GetProperty("tid").GetInt32()));
        Assert.Equal(["write disk.img", "read disk.img", "flush disk.img"], completed.Take(3).Select(e => TraceDocument.Text(e, "name")));
        Assert.Equal(3 * each, completed.Length);
        Assert.Equal([512, 1024, 0], completed.TakeLast(3).Select(e => e.GetProperty("args").GetProperty("result").GetInt32()));
        JsonElement[] submitted = [.. trace.OfCategory("io").Where(e => TraceDocument.Text(e, "ph") == "b")];
        Assert.Equal("""{"offset":50688,"length":512}""", submitted[^3].GetProperty("args").GetRawText());
        Assert.Equal("""{"offset":101376,"length":1024}""", submitted[^2].GetProperty("args").GetRawText());
    }
}
