using System.Text.Json;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Tracing;
using KvmSharp.Machine.Config;
using KvmSharp.Machine.Tests.Bare.Virtio;
using KvmSharp.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>What a trace of whole machines holds, against what they count themselves.</summary>
[Collection(nameof(ProcessWideTests))]
public sealed class TraceTests : BareVirtioFixture
{
    private const string VcpuName = "vcpu 0";

    [Fact]
    public void Exits_OfABareGuest_AreAllThereWithTheirDevices()
    {
        const int writes = 50, reads = 30;
        (TraceDocument trace, uint[] words, MachineStatistics statistics) = RunTraced(Config(a =>
        {
            a.Begin();
            for (int i = 0; i < writes; i++)
                a.Out8(0x80, 1); // nobody's
            for (int i = 0; i < reads; i++)
                a.StoreMemory(0xE000_0000);
            a.Finish();
        }));

        JsonElement[] exits = trace.OfCategory("exit");
        int vcpu = trace.ThreadOf(VcpuName);
        Assert.Equal(0, trace.Lost);
        Assert.All(exits, e => Assert.Equal(vcpu, e.GetProperty("tid").GetInt32()));
        foreach (NamedCount reason in statistics.ExitsByReason)
            Assert.Equal(reason.Count, exits.LongCount(e => TraceDocument.Text(e, "name").Split(' ')[0] == reason.Name));
        Assert.Equal(writes, exits.Count(e => IsAt(e, "port", "0x80")));
        JsonElement[] ecam = [.. exits.Where(e => IsAt(e, "address", "0xe0000000"))];
        Assert.Equal(reads, ecam.Length);
        Assert.All(ecam, e => Assert.Equal("""{"address":"0xe0000000","bytes":4,"write":false}""", e.GetProperty("args").GetRawText()));
        Assert.Contains(exits, e => TraceDocument.Text(e, "name") == "KVM_EXIT_IO debug-console");
        Assert.Contains(exits, e => TraceDocument.Text(e, "name") == "KVM_EXIT_IO debug-exit");
    }

    [Fact]
    public void Requests_OfAVirtioDisk_AreThereWithTheirNotificationsAndInterrupts()
    {
        const uint requests = 0x30_0000, data = 0x60_0000, length = 512;
        const int count = 200;
        string image = WriteFile(new byte[64 * length]);
        GuestTransport transport = GuestTransport.Create(pci: true, interrupts: true);
        GuestRing ring = GuestRing.Create(false);
        var list = new GuestBlockRequests(requests);
        for (uint i = 0; i < count; i++)
            list.Add(VirtioBlk.VIRTIO_BLK_T_IN, i % 64, new GuestBuffer(data, length, Writable: true));
        var disk = new DiskConfig { Path = image, Id = "traced", Virtio = new VirtioSettings { PollMaxNs = 0 } };
        (TraceDocument trace, uint[] words, _) = RunTraced(Config(MachineKind.Pc, disk, a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, requests, count, depth: 1);
            a.StoreMemory(UserKernel.InterruptCount);
            a.Finish();
        }, list.Segments(ring)));

        JsonElement[] completed = trace.CompletedRequests();
        Assert.Equal(count, completed.Length);
        Assert.All(completed, e => Assert.Equal(length, e.GetProperty("args").GetProperty("result").GetUInt32()));
        int loop = completed[0].GetProperty("tid").GetInt32();
        JsonElement[] kicks = trace.OfCategory("notification"), interrupts = [.. trace.OfCategory("interrupt").Where(e => TraceDocument.Text(e, "name") == "irqfd")];
        Assert.NotEqual(trace.ThreadOf(VcpuName), loop);
        Assert.InRange(kicks.Length, 1, count + 1);
        Assert.All(kicks, e => Assert.Equal(("notification traced queue 0", loop), (TraceDocument.Text(e, "name"), e.GetProperty("tid").GetInt32())));
        Assert.InRange((uint)interrupts.Length, words[0], count + 1u);
        Assert.NotEmpty(trace.OfCategory("loop"));
    }

    private static bool IsAt(JsonElement exit, string key, string value) =>
        exit.GetProperty("args").TryGetProperty(key, out JsonElement at) && at.GetString() == value;

    private (TraceDocument Trace, uint[] Words, MachineStatistics Statistics) RunTraced(MachineConfig config)
    {
        string path = Path.Combine(Folder, "trace.json");
        uint[] words;
        MachineStatistics statistics;
        using (TraceSession.Start(new TraceOptions { Path = path, ProcessName = "test", Logger = NullLogger.Instance }))
            (words, statistics) = RunCounted(config);
        return (TraceDocument.Read(path), words, statistics);
    }
}
