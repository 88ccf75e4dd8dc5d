using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>
/// The driver side of a virtqueue as guest code, without event index. Requests are submitted in slots, whose number the device
/// gives back; a slot has room for <see cref="GuestRequest.MaxDescriptors"/> descriptors. Changes rax, rcx and r8 to r11.
/// </summary>
internal abstract class GuestRing(int index, ushort size, bool indirect)
{
    private const uint Length = 0x1_0000, First = UserKernel.Free;

    protected const int DescriptorLength = 16, SlotDescriptors = GuestRequest.MaxDescriptors;

    private readonly uint _start = First + (Length * (uint)index);

    internal static GuestRing Create(bool packed, int index = 0, ushort size = 128, bool indirect = false) =>
        packed ? new GuestPackedRing(index, size, indirect) : new GuestSplitRing(index, size, indirect);

    /// <summary>Behind the rings of a device's queues.</summary>
    internal const uint End = First + (4 * Length);

    internal int Index => index;

    internal ushort Size => size;

    internal bool Indirect => indirect;

    internal abstract bool Packed { get; }

    /// <summary>Also kicks a device that does not want to know, so that there is a kick per submission.</summary>
    internal bool AlwaysKicks { get; set; }

    /// <summary>Requests there can be at a time.</summary>
    internal int Slots => size / SlotDescriptors;

    internal uint DescriptorArea => _start;

    internal uint DriverArea => _start + 0x4000;

    internal uint DeviceArea => _start + 0x5000;

    /// <summary>Kicks so far, over resets.</summary>
    internal uint Kicks => _start + 0x8000;

    internal uint DoorbellAddress => _start + 0x8008;

    /// <summary>Dwords, by slot: the number of the request that is in it.</summary>
    internal uint SlotRequests => _start + 0x9000;

    /// <summary>Next entry to make available, and to be used.</summary>
    protected uint NextAvailable => _start + 0x7000;

    protected uint NextUsed => _start + 0x7004;

    /// <summary>Offset of the dword-sized flags with which the driver, or the device, tells the other not to notify.</summary>
    protected abstract uint EventFlags { get; }

    /// <summary>Submits the request at rsi in slot edx. Changes rsi.</summary>
    internal abstract void Submit(Assembler a);

    /// <summary>Takes the next used request: its slot in edx, the bytes written in eax. Goes to <paramref name="none"/> if there is none.</summary>
    internal abstract void TakeUsed(Assembler a, Label none);

    /// <summary>An empty ring.</summary>
    internal void Clear(Assembler a)
    {
        a.mov(rdx, rdi);
        a.mov(edi, _start);
        a.mov(ecx, 0x8000);
        a.xor(eax, eax);
        a.rep.stosb();
        a.mov(rdi, rdx);
        Initialize(a);
    }

    /// <summary>Tells the device not to interrupt.</summary>
    internal void SuppressInterrupts(Assembler a) => a.mov(__word_ptr[DriverArea + EventFlags], 1);

    /// <summary>Kicks, as a rule unless the device does not want to know.</summary>
    internal void Kick(Assembler a, GuestTransport transport)
    {
        Label quiet = a.CreateLabel();
        if (!AlwaysKicks)
        {
            a.mfence();
            a.cmp(__word_ptr[DeviceArea + EventFlags], 0);
            a.jne(quiet);
        }

        a.inc(__dword_ptr[Kicks]);
        transport.Kick(a, this);
        a.Place(ref quiet);
    }

    protected virtual void Initialize(Assembler a)
    {
    }

    /// <summary>A device that uses what it does not have is broken.</summary>
    protected void CheckSlot(Assembler a)
    {
        Label inFlight = a.CreateLabel();
        a.cmp(edx, Slots);
        a.jb(inFlight);
        a.Fail(GuestFailure.UsedNotInFlight);
        a.Place(ref inFlight);
    }
}
