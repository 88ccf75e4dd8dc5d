using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>What payloads that drive a virtio device consist of. Everything but rdi, where they store, and r15 is changed.</summary>
internal static class GuestDriver
{
    internal static void Fail(this Assembler a, GuestFailure failure) => a.Exit((uint)failure);

    /// <summary>
    /// Runs a list of requests, as many at a time as asked for: each that comes back makes room for the next, and every
    /// submission is a kick. Waits for interrupts if there are any, else polls. Counts in <see cref="GuestVariables.Mismatches"/>.
    /// </summary>
    internal static void RunRequests(this Assembler a, GuestTransport transport, GuestRing ring, uint list, int count, int depth)
    {
        Label fill = a.CreateLabel(), take = a.CreateLabel(), asExpected = a.CreateLabel(), noMore = a.CreateLabel(), none = a.CreateLabel(), done = a.CreateLabel();
        a.xor(ebp, ebp); // next request
        a.xor(r12d, r12d); // requests that came back
        a.Place(ref fill);
        a.mov(edx, ebp);
        a.SubmitNext(ring, list);
        a.cmp(ebp, Math.Min(count, Math.Min(depth, ring.Slots)));
        a.jb(fill);
        ring.Kick(a, transport);

        a.Place(ref take);
        ring.TakeUsed(a, none);
        a.mov(ecx, __dword_ptr[rdx * 4 + ring.SlotRequests]);
        a.imul(ecx, ecx, GuestRequest.Length);
        a.cmp(eax, __dword_ptr[rcx + (list + GuestRequest.WrittenOffset)]);
        a.je(asExpected);
        a.inc(__dword_ptr[GuestVariables.Mismatches]);
        a.Place(ref asExpected);
        a.inc(r12d);
        a.cmp(ebp, count);
        a.jae(noMore);
        a.SubmitNext(ring, list);
        ring.Kick(a, transport);
        a.Place(ref noMore);
        a.cmp(r12d, count);
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

    /// <summary>Submits request ebp of a list in slot edx and goes on to the next.</summary>
    internal static void SubmitNext(this Assembler a, GuestRing ring, uint list)
    {
        a.mov(__dword_ptr[rdx * 4 + ring.SlotRequests], ebp);
        a.mov(esi, ebp);
        a.imul(esi, esi, GuestRequest.Length);
        a.add(esi, list);
        ring.Submit(a);
        a.inc(ebp);
    }

    /// <summary>Passes time, as many pause instructions as the register says.</summary>
    internal static void Pause(this Assembler a, AssemblerRegister32 count)
    {
        Label next = a.CreateLabel();
        a.Place(ref next);
        a.pause();
        a.dec(count);
        a.jnz(next);
    }

    /// <summary>Stores the sum of the bytes of a range.</summary>
    internal static void StoreSum(this Assembler a, uint address, int length)
    {
        Label next = a.CreateLabel();
        a.mov(esi, address);
        a.mov(ecx, length);
        a.xor(eax, eax);
        a.Place(ref next);
        a.movzx(edx, __byte_ptr[rsi]);
        a.add(eax, edx);
        a.inc(esi);
        a.dec(ecx);
        a.jnz(next);
        a.stosd();
    }

    /// <summary>Stores the bytes of a range.</summary>
    internal static void StoreBytes(this Assembler a, uint address, int length)
    {
        a.mov(esi, address);
        a.mov(ecx, length);
        a.rep.movsb();
    }

    /// <summary>Stores how many bytes of a range are not zero.</summary>
    internal static void StoreNonZero(this Assembler a, uint address, int length)
    {
        Label next = a.CreateLabel(), zero = a.CreateLabel();
        a.mov(esi, address);
        a.mov(ecx, length);
        a.xor(eax, eax);
        a.Place(ref next);
        a.cmp(__byte_ptr[rsi], 0);
        a.je(zero);
        a.inc(eax);
        a.Place(ref zero);
        a.inc(esi);
        a.dec(ecx);
        a.jnz(next);
        a.stosd();
    }
}
