using System.Buffers.Binary;
using Iced.Intel;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Net;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

public sealed class BareNetTests : BareVirtioFixture
{
    private const uint ReceiveList = 0x30_0000, TransmitList = 0x31_0000, Buffers = 0x60_0000;
    private const int BufferShift = 11, BufferLength = 1 << BufferShift, HeaderLength = 12, EtherTypeOffset = 12, MarkOffset = 14;
    private const string Ready = "ready\n";

    [TapTheory]
    [InlineData(MachineKind.Pc, false, false, false)]
    [InlineData(MachineKind.Pc, true, false, true)]
    [InlineData(MachineKind.Pc, false, true, true)]
    [InlineData(MachineKind.Microvm, false, true, false)]
    [InlineData(MachineKind.Microvm, true, true, false)]
    public void Echo_EveryFrameComesBack_ChangedWhereTheGuestChangedIt(MachineKind kind, bool packed, bool indirect, bool interrupts) => NetworkNamespace.Run(() =>
    {
        const int frames = 1000, window = 16;
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc, interrupts);
        GuestRing receive = GuestRing.Create(packed, 0, indirect: indirect), transmit = GuestRing.Create(packed, 1, indirect: indirect);
        using Machine machine = Create(Config(kind, new NetConfig { Tap = "t0", Mac = Mac, Virtio = new VirtioSettings { Packed = packed } }, a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_NET);
            transport.Start(a, RingFeatures(receive), receive, transmit);
            Echo(a, transport, receive, transmit, frames);
            a.Finish();
        }, (ReceiveList, GuestRequest.Encode([.. Requests(receive, writable: true)], receive)), (TransmitList, GuestRequest.Encode([.. Requests(transmit, writable: false)], transmit))));
        using var host = new PacketSocket("t0");
        Task<MachineExit> run = Start(machine);
        WaitFor(() => Console.OutputText == Ready || run.IsCompleted);

        byte[] answer = new byte[BufferLength];
        for (int i = 0; i < frames + window; i++)
        {
            if (i < frames)
                host.Send(Frame(i));
            if (i < window)
                continue;
            int length = host.Receive(answer);
            byte[] expected = Frame(i - window);
            expected[MarkOffset]++;
            Assert.True(answer.AsSpan(0, length).SequenceEqual(expected), $"frame {i - window}");
        }

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, GuestCode.FinishStatus), Finish(machine, run));
    });

    private static MacAddress Mac => MacAddress.TryParse("52:54:00:12:34:56", out MacAddress mac) ? mac : default;

    /// <summary>Every length there is, to one's own address and to all.</summary>
    private static byte[] Frame(int number)
    {
        byte[] frame = new byte[60 + (number * 37 % 1455)];
        new Random(number).NextBytes(frame);
        frame.AsSpan(0, 6).Fill(0xFF);
        if (number % 2 == 0)
            Mac.CopyTo(frame);
        frame[6] &= 0xFE; // sent by no group
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(EtherTypeOffset), PacketSocket.EtherType);
        return frame;
    }

    private static IEnumerable<GuestRequest> Requests(GuestRing ring, bool writable) =>
        Enumerable.Range(0, ring.Slots).Select(i => new GuestRequest(0, new GuestBuffer(Buffers + (BufferLength * (uint)i), BufferLength, writable)));

    // r12: buffer, r13: its slot, which is the same in both rings, ebp: frames sent back.
    private static void Echo(Assembler a, GuestTransport transport, GuestRing receive, GuestRing transmit, int frames)
    {
        Label fill = a.CreateLabel(), take = a.CreateLabel(), none = a.CreateLabel(), wait = a.CreateLabel(), recycle = a.CreateLabel(), done = a.CreateLabel();
        a.xor(ebp, ebp);
        a.Place(ref fill);
        a.mov(edx, ebp);
        a.SubmitNext(receive, ReceiveList);
        a.cmp(ebp, receive.Slots);
        a.jb(fill);
        receive.Kick(a, transport);
        foreach (char c in Ready)
            a.Print(c);
        a.xor(ebp, ebp);

        a.Place(ref take);
        receive.TakeUsed(a, none);
        a.mov(r13d, edx);
        a.mov(r12d, edx);
        a.shl(r12d, BufferShift);
        a.add(r12d, Buffers);
        a.cmp(__word_ptr[r12 + (HeaderLength + EtherTypeOffset)], unchecked((short)BinaryPrimitives.ReverseEndianness(PacketSocket.EtherType)));
        a.jne(recycle); // the host's own
        a.mov(__word_ptr[r12 + (HeaderLength - 2)], 0); // num_buffers
        a.inc(__byte_ptr[r12 + (HeaderLength + MarkOffset)]);
        a.imul(esi, edx, GuestRequest.Length);
        a.add(esi, TransmitList);
        a.mov(__dword_ptr[rsi + (GuestRequest.DescriptorsOffset + 8)], eax);
        transmit.Submit(a);
        transmit.Kick(a, transport);
        a.Place(ref wait);
        a.pause();
        transmit.TakeUsed(a, wait);
        a.inc(ebp);
        a.Place(ref recycle);
        a.mov(edx, r13d);
        a.imul(esi, edx, GuestRequest.Length);
        a.add(esi, ReceiveList);
        receive.Submit(a);
        receive.Kick(a, transport);
        a.cmp(ebp, frames);
        a.jb(take);
        a.jmp(done);

        a.Place(ref none);
        if (transport.Interrupts)
            a.WaitForInterrupt();
        else
            a.pause();
        a.jmp(take);
        a.Place(ref done);
    }
}
