using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A packed virtqueue (virtio 1.2 §2.8). The slot is the buffer id.</summary>
internal sealed class GuestPackedRing(int index, ushort size, bool indirect) : GuestRing(index, size, indirect)
{
    private const int Available = 1 << VRING_PACKED_DESC_F_AVAIL, Used = 1 << VRING_PACKED_DESC_F_USED;

    internal override bool Packed => true;

    protected override uint EventFlags => 2;

    // Flags that make a descriptor available, and that it has when used.
    private uint AvailableFlags => NextAvailable + 8;

    private uint UsedFlags => NextAvailable + 12;

    // Dwords, by slot: descriptors in the ring.
    private uint Counts => SlotRequests + 0x1000;

    internal override void Submit(Assembler a)
    {
        Label next = a.CreateLabel(), notFirst = a.CreateLabel(), stored = a.CreateLabel(), sameLap = a.CreateLabel();
        if (Indirect)
            a.mov(ecx, 1);
        else
            a.mov(ecx, __dword_ptr[rsi + GuestRequest.CountOffset]);
        a.mov(__dword_ptr[rdx * 4 + Counts], ecx);
        if (!Indirect)
            a.add(rsi, GuestRequest.DescriptorsOffset);
        a.xor(r11d, r11d); // address of the first descriptor, whose flags, in r10, are written last
        a.Place(ref next);
        a.mov(r8d, __dword_ptr[NextAvailable]);
        a.shl(r8d, 4);
        a.add(r8d, DescriptorArea);
        LoadDescriptor(a);
        a.mov(__word_ptr[r8 + 12], dx);
        a.or(eax, __dword_ptr[AvailableFlags]);
        a.test(r11d, r11d);
        a.jnz(notFirst);
        a.mov(r11d, r8d);
        a.mov(r10d, eax);
        a.jmp(stored);
        a.Place(ref notFirst);
        a.mov(__word_ptr[r8 + 14], ax);
        a.Place(ref stored);
        a.inc(__dword_ptr[NextAvailable]);
        a.cmp(__dword_ptr[NextAvailable], Size);
        a.jb(sameLap);
        a.mov(__dword_ptr[NextAvailable], 0);
        a.xor(__dword_ptr[AvailableFlags], Available | Used);
        a.Place(ref sameLap);
        a.dec(ecx);
        a.jnz(next);
        a.mov(__word_ptr[r11 + 14], r10w);
    }

    internal override void TakeUsed(Assembler a, Label none)
    {
        Label sameLap = a.CreateLabel();
        a.mov(r8d, __dword_ptr[NextUsed]);
        a.shl(r8d, 4);
        a.add(r8d, DescriptorArea);
        a.movzx(eax, __word_ptr[r8 + 14]);
        a.and(eax, Available | Used);
        a.cmp(eax, __dword_ptr[UsedFlags]);
        a.jne(none);
        a.movzx(edx, __word_ptr[r8 + 12]);
        CheckSlot(a);
        a.mov(eax, __dword_ptr[r8 + 8]);
        a.mov(ecx, __dword_ptr[rdx * 4 + Counts]);
        a.add(ecx, __dword_ptr[NextUsed]);
        a.cmp(ecx, Size);
        a.jb(sameLap);
        a.sub(ecx, Size);
        a.xor(__dword_ptr[UsedFlags], Available | Used);
        a.Place(ref sameLap);
        a.mov(__dword_ptr[NextUsed], ecx);
    }

    protected override void Initialize(Assembler a)
    {
        a.mov(__dword_ptr[AvailableFlags], Available);
        a.mov(__dword_ptr[UsedFlags], Available | Used);
    }

    // Writes address and length to r8; the flags are in eax.
    private void LoadDescriptor(Assembler a)
    {
        if (Indirect)
        {
            a.mov(eax, __dword_ptr[rsi + GuestRequest.CountOffset]);
            a.shl(eax, 4);
            a.add(rsi, GuestRequest.DescriptorsOffset);
            a.mov(__qword_ptr[r8], rsi);
            a.mov(__dword_ptr[r8 + 8], eax);
            a.mov(eax, VRING_DESC_F_INDIRECT);
            return;
        }

        a.mov(r9, __qword_ptr[rsi]);
        a.mov(__qword_ptr[r8], r9);
        a.mov(r9d, __dword_ptr[rsi + 8]);
        a.mov(__dword_ptr[r8 + 8], r9d);
        a.movzx(eax, __word_ptr[rsi + 14]);
        a.add(rsi, DescriptorLength);
    }
}
