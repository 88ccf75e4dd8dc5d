using Iced.Intel;
using KvmSharp.Abi.Virtio;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

public sealed class BareResetTests : BareVirtioFixture
{
    private const uint Reads = 0x30_0000, Hostile = 0x40_0000, Data = 0x60_0000;
    private const uint SectorLength = 512, SectorsEach = 32, BytesEach = SectorLength * SectorsEach;
    private const int Count = 32, DataLength = Count * (int)BytesEach;
    private const byte Mark = 0xA5;

    [Theory]
    [InlineData(MachineKind.Pc, false)]
    [InlineData(MachineKind.Pc, true)]
    [InlineData(MachineKind.Microvm, false)]
    [InlineData(MachineKind.Microvm, true)]
    public void Reset_WithRequestsInFlight_NothingIsWrittenAfterwards(MachineKind kind, bool packed)
    {
        const int rounds = 20, pauses = 5000;
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc);
        GuestRing ring = GuestRing.Create(packed);
        GuestBlockRequests reads = ReadAll();

        uint[] words = Run(Config(kind, Disk(packed), a =>
        {
            Label round = a.CreateLabel(), fill = a.CreateLabel(), untouched = a.CreateLabel();
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            a.mov(ebx, rounds);
            a.xor(r13d, r13d);
            a.Place(ref round);
            transport.Start(a, RingFeatures(ring), ring);
            a.xor(ebp, ebp);
            a.Place(ref fill);
            a.mov(edx, ebp);
            a.SubmitNext(ring, Reads);
            a.cmp(ebp, Count);
            a.jb(fill);
            ring.Kick(a, transport);
            // The longer the rounds have gone on, the longer the device gets before it is reset.
            a.mov(ecx, rounds + 1);
            a.sub(ecx, ebx);
            a.imul(ecx, ecx, 200);
            a.Pause(ecx);
            transport.Reset(a);

            a.mov(r12, rdi);
            FillData(a);
            a.mov(ecx, pauses);
            a.Pause(ecx);
            a.mov(edi, Data);
            a.mov(ecx, DataLength);
            a.mov(al, Mark);
            a.repe.scasb();
            a.mov(rdi, r12);
            a.je(untouched);
            a.inc(r13d);
            a.Place(ref untouched);
            a.dec(ebx);
            a.jnz(round);

            a.mov(eax, r13d);
            a.stosd();
            StoreReadAll(a, transport, ring, reads);
            a.Finish();
        }, reads.Segments(ring))).Words;

        Assert.Equal([0u, 0, 0, Sum(Image)], words);
    }

    [Theory]
    [InlineData(MachineKind.Pc, false, HostileRequest.BufferOutsideMemory)]
    [InlineData(MachineKind.Pc, true, HostileRequest.BufferOutsideMemory)]
    [InlineData(MachineKind.Microvm, false, HostileRequest.BufferWrapsAround)]
    [InlineData(MachineKind.Microvm, true, HostileRequest.BufferWrapsAround)]
    [InlineData(MachineKind.Pc, false, HostileRequest.NoHeader)]
    [InlineData(MachineKind.Microvm, true, HostileRequest.NoHeader)]
    [InlineData(MachineKind.Microvm, false, HostileRequest.ReadableAfterWritable)]
    [InlineData(MachineKind.Pc, true, HostileRequest.ReadableAfterWritable)]
    public void HostileRequest_NeedsReset_AndWorksAfterIt(MachineKind kind, bool packed, HostileRequest hostile)
    {
        const int rounds = 10;
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc);
        GuestRing ring = GuestRing.Create(packed);
        GuestBlockRequests reads = ReadAll();

        uint[] words = Run(Config(kind, Disk(packed), a =>
        {
            Label round = a.CreateLabel(), wait = a.CreateLabel();
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            a.mov(ebx, rounds);
            a.Place(ref round);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, Reads, Count, depth: 8);
            a.xor(ebp, ebp);
            a.xor(edx, edx);
            a.SubmitNext(ring, Hostile);
            ring.Kick(a, transport);
            a.Place(ref wait);
            transport.ReadStatus(a);
            a.test(al, GuestTransport.NeedsReset);
            a.jz(wait);
            a.dec(ebx);
            a.jnz(round);

            a.mov(r12, rdi);
            FillData(a);
            a.mov(rdi, r12);
            StoreReadAll(a, transport, ring, reads);
            a.Finish();
        }, [.. reads.Segments(ring), (Hostile, GuestRequest.Encode([Make(hostile)], ring))])).Words;

        Assert.Equal([0u, 0, Sum(Image)], words);
    }

    /// <summary>How a request breaks the rules.</summary>
    public enum HostileRequest
    {
        BufferOutsideMemory,
        BufferWrapsAround,
        NoHeader,
        ReadableAfterWritable,
    }

    private static byte[] Image { get; } = MakeImage();

    private static byte[] MakeImage()
    {
        byte[] image = new byte[DataLength];
        new Random(2).NextBytes(image);
        return image;
    }

    private static uint Sum(byte[] bytes) => (uint)bytes.Sum(b => b);

    private static GuestRequest Make(HostileRequest kind) => kind switch
    {
        HostileRequest.BufferOutsideMemory => new(0, new GuestBuffer(0x40_0000_0000, 16), new GuestBuffer(Data, SectorLength, Writable: true)),
        HostileRequest.BufferWrapsAround => new(0, new GuestBuffer(ulong.MaxValue - 7, 16), new GuestBuffer(Data, SectorLength, Writable: true)),
        HostileRequest.NoHeader => new(0, new GuestBuffer(Data, SectorLength, Writable: true)),
        _ => new(0, new GuestBuffer(Data, SectorLength, Writable: true), new GuestBuffer(Data, 16)),
    };

    private static GuestBlockRequests ReadAll()
    {
        var reads = new GuestBlockRequests(Reads);
        for (uint i = 0; i < Count; i++)
            reads.Add(VIRTIO_BLK_T_IN, SectorsEach * i, new GuestBuffer(Data + (BytesEach * i), BytesEach, Writable: true));
        return reads;
    }

    // Starts the device, reads the whole disk and stores what came of it.
    private static void StoreReadAll(Assembler a, GuestTransport transport, GuestRing ring, GuestBlockRequests reads)
    {
        transport.Start(a, RingFeatures(ring), ring);
        a.RunRequests(transport, ring, Reads, Count, depth: 8);
        a.StoreMemory(GuestVariables.Mismatches);
        a.StoreNonZero(reads.Statuses, Count);
        a.StoreSum(Data, DataLength);
    }

    // Changes rdi.
    private static void FillData(Assembler a)
    {
        a.mov(edi, Data);
        a.mov(ecx, DataLength);
        a.mov(al, Mark);
        a.rep.stosb();
    }

    private DiskConfig Disk(bool packed) => new() { Path = WriteFile(Image), Id = "disk", Virtio = new VirtioSettings { Packed = packed } };
}
