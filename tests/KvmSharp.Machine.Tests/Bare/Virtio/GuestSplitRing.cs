using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A split virtqueue (virtio 1.2 §2.7). Every slot has descriptors of its own.</summary>
internal sealed class GuestSplitRing(int index, ushort size, bool indirect) : GuestRing(index, size, indirect)
{
    private const uint Indices = 2, Entries = 4;

    internal override bool Packed => false;

    protected override uint EventFlags => 0;

    internal override void Submit(Assembler a)
    {
        a.imul(eax, edx, SlotDescriptors);
        a.mov(r10d, eax); // head
        a.imul(r8d, eax, DescriptorLength);
        a.add(r8d, DescriptorArea);
        a.mov(ecx, __dword_ptr[rsi + GuestRequest.CountOffset]);
        a.add(rsi, GuestRequest.DescriptorsOffset);
        if (Indirect)
            PutIndirect(a);
        else
            CopyDescriptors(a);
        a.movzx(eax, __word_ptr[NextAvailable]);
        a.mov(ecx, eax);
        a.and(ecx, Size - 1);
        a.mov(__word_ptr[rcx * 2 + (DriverArea + Entries)], r10w);
        a.inc(eax);
        a.mov(__word_ptr[NextAvailable], ax);
        a.mov(__word_ptr[DriverArea + Indices], ax);
    }

    internal override void TakeUsed(Assembler a, Label none)
    {
        a.movzx(ecx, __word_ptr[NextUsed]);
        a.cmp(cx, __word_ptr[DeviceArea + Indices]);
        a.je(none);
        a.inc(__word_ptr[NextUsed]);
        a.and(ecx, Size - 1);
        a.mov(edx, __dword_ptr[rcx * 8 + (DeviceArea + Entries)]);
        a.mov(eax, __dword_ptr[rcx * 8 + (DeviceArea + Entries + 4)]);
        a.ror(edx, 2); // a head is a multiple of four
        CheckSlot(a);
    }

    private static void PutIndirect(Assembler a)
    {
        a.imul(ecx, ecx, DescriptorLength);
        a.mov(__qword_ptr[r8], rsi);
        a.mov(__dword_ptr[r8 + 8], ecx);
        a.mov(__dword_ptr[r8 + 12], VRING_DESC_F_INDIRECT);
    }

    private static void CopyDescriptors(Assembler a)
    {
        Label next = a.CreateLabel();
        a.Place(ref next);
        a.mov(r9, __qword_ptr[rsi]);
        a.mov(__qword_ptr[r8], r9);
        a.mov(r9, __qword_ptr[rsi + 8]);
        a.mov(__qword_ptr[r8 + 8], r9);
        a.inc(eax);
        a.mov(__word_ptr[r8 + 14], ax); // next
        a.add(rsi, DescriptorLength);
        a.add(r8, DescriptorLength);
        a.dec(ecx);
        a.jnz(next);
    }
}
