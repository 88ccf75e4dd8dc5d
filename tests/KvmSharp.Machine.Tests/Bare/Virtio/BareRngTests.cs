using KvmSharp.Abi.Virtio;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

public sealed class BareRngTests : BareVirtioFixture
{
    private const uint Requests = 0x30_0000, Data = 0x60_0000, BytesEach = 64;

    [Theory]
    [InlineData(MachineKind.Pc, false)]
    [InlineData(MachineKind.Pc, true)]
    [InlineData(MachineKind.Microvm, false)]
    [InlineData(MachineKind.Microvm, true)]
    public void Requests_AreFilledWithRandomBytes(MachineKind kind, bool packed)
    {
        const int count = 2000, shown = 64;
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc);
        GuestRing ring = GuestRing.Create(packed, size: 64);
        var requests = new List<GuestRequest>();
        for (uint i = 0; i < count; i++)
            requests.Add(new GuestRequest(BytesEach, new GuestBuffer(Data + (BytesEach * i), BytesEach, Writable: true)));

        BareRun run = Run(Config(kind, new RngConfig { Virtio = new VirtioSettings { Packed = packed } }, a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_RNG);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, Requests, count, depth: 16);
            a.StoreMemory(GuestVariables.Mismatches);
            a.StoreNonZero(Data, count * (int)BytesEach);
            a.StoreBytes(Data, shown * (int)BytesEach);
            a.Finish();
        }, (Requests, GuestRequest.Encode(requests, ring))));

        uint[] words = run.Words;
        Assert.Equal(0u, words[0]);
        // 127500 of 128000 are expected; this is more than 20 standard deviations below.
        Assert.InRange(words[1], 127000u, count * BytesEach);
        Assert.Equal(shown, run.Console[8..].Chunk((int)BytesEach).Select(Convert.ToHexString).Distinct().Count());
    }
}
