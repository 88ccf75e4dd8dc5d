using KvmSharp.Abi.Virtio;
using KvmSharp.Machine.Config;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

public sealed class BareBlockTests : BareVirtioFixture
{
    private const uint Reads = 0x30_0000, Writes = 0x40_0000, Others = 0x50_0000, Data = 0x60_0000;
    private const uint SectorLength = 512, SectorsEach = 2, BytesEach = SectorLength * SectorsEach;
    private const string Serial = "bare-serial";

    [Theory]
    [InlineData(MachineKind.Pc, false, false, true, false)]
    [InlineData(MachineKind.Pc, false, true, true, true)]
    [InlineData(MachineKind.Pc, true, false, true, true)]
    [InlineData(MachineKind.Pc, true, true, true, false)]
    [InlineData(MachineKind.Pc, false, false, false, true)]
    [InlineData(MachineKind.Pc, true, true, false, false)]
    [InlineData(MachineKind.Microvm, false, false, true, false)]
    [InlineData(MachineKind.Microvm, false, true, false, false)]
    [InlineData(MachineKind.Microvm, true, false, false, false)]
    [InlineData(MachineKind.Microvm, true, true, true, false)]
    public void Copy_HalfTheDiskToTheOtherHalf_FileHasItTwice(MachineKind kind, bool packed, bool indirect, bool ioEventFd, bool interrupts)
    {
        const int count = 1000;
        byte[] half = RandomBytes(count * (int)BytesEach);
        string image = WriteFile([.. half, .. new byte[half.Length]]);
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc, interrupts);
        GuestRing ring = GuestRing.Create(packed, indirect: indirect);
        var reads = new GuestBlockRequests(Reads);
        var writes = new GuestBlockRequests(Writes);
        for (uint i = 0; i < count; i++)
        {
            // In two pieces that meet anywhere.
            uint at = Data + (BytesEach * i), first = 1 + (i % (BytesEach - 1));
            reads.Add(VIRTIO_BLK_T_IN, SectorsEach * i, new(at, first, Writable: true), new(at + first, BytesEach - first, Writable: true));
            writes.Add(VIRTIO_BLK_T_OUT, SectorsEach * (count + i), new(at, first), new(at + first, BytesEach - first));
        }

        uint[] words = Run(Config(kind, Disk(image, new VirtioSettings { Packed = packed, IoEventFd = ioEventFd }), a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, Reads, count, depth: 32);
            a.RunRequests(transport, ring, Writes, count, depth: 32);
            a.StoreMemory(GuestVariables.Mismatches);
            a.StoreNonZero(reads.Statuses, count);
            a.StoreNonZero(writes.Statuses, count);
            a.StoreMemory(UserKernel.InterruptCount);
            a.Finish();
        }, [.. reads.Segments(ring), .. writes.Segments(ring)])).Words;

        Assert.Equal([0u, 0, 0], words[..3]);
        Assert.Equal(interrupts, words[3] > 0);
        byte[] contents = File.ReadAllBytes(image);
        Assert.True(contents.AsSpan(0, half.Length).SequenceEqual(half));
        Assert.True(contents.AsSpan(half.Length).SequenceEqual(half));
    }

    [Theory]
    [InlineData(MachineKind.Pc, false)]
    [InlineData(MachineKind.Pc, true)]
    [InlineData(MachineKind.Microvm, false)]
    [InlineData(MachineKind.Microvm, true)]
    public void OtherRequests_AreAnsweredEachInItsWay(MachineKind kind, bool packed)
    {
        string image = WriteFile(RandomBytes(64 * (int)SectorLength));
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc);
        GuestRing ring = GuestRing.Create(packed);
        var requests = new GuestBlockRequests(Others);
        requests.Add(VIRTIO_BLK_T_FLUSH, 0);
        requests.Add(VIRTIO_BLK_T_GET_ID, 0, new GuestBuffer(Data, VIRTIO_BLK_ID_BYTES, Writable: true));
        requests.Add(VIRTIO_BLK_T_IN, 64, new GuestBuffer(Data + 0x1000, SectorLength, Writable: true)); // behind the end
        requests.Add(VIRTIO_BLK_T_OUT, 0, new GuestBuffer(Data + 0x1000, SectorLength - 1)); // not a sector
        requests.Add(0xFFFF, 0);

        BareRun run = Run(Config(kind, Disk(image, new VirtioSettings { Packed = packed }), a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, Others, requests.Count, depth: 2);
            a.StoreBytes(requests.Statuses, requests.Count);
            a.StoreBytes(Data, VIRTIO_BLK_ID_BYTES);
            a.Finish();
        }, requests.Segments(ring)));

        Assert.Equal(GuestCode.FinishStatus, run.Exit.Status);
        Assert.Equal([VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_UNSUPP], run.Console[..5]);
        Assert.Equal(Serial.PadRight(VIRTIO_BLK_ID_BYTES, (char)0), run.Text[5..]);
    }

    private static DiskConfig Disk(string image, VirtioSettings settings) => new() { Path = image, Serial = Serial, Id = "disk", Virtio = settings };

    private static byte[] RandomBytes(int length)
    {
        byte[] bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
