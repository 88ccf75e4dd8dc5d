using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Virtio.VirtioPci;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A modern virtio-pci function, found by a scan of bus 0; its structures are where its capabilities and BARs say.</summary>
internal sealed class GuestPciTransport(bool interrupts = false) : GuestTransport
{
    private const uint VendorId = 0x1AF4, FirstDeviceId = 0x1040, FunctionStride = 0x8000;
    private const int Command = 0x04, Bars = 0x10, Capabilities = 0x34;
    private const byte VendorCapability = 0x09, MsixCapability = 0x11;

    internal override bool Interrupts => interrupts;

    internal override void Find(Assembler a, uint deviceId)
    {
        Label next = a.CreateLabel(), found = a.CreateLabel();
        a.mov(ebx, (uint)MachineLayout.EcamStart + FunctionStride);
        a.Place(ref next);
        a.mov(eax, __dword_ptr[rbx]);
        a.cmp(eax, ((FirstDeviceId + deviceId) << 16) | VendorId);
        a.je(found);
        a.add(ebx, FunctionStride);
        a.cmp(ebx, (uint)MachineLayout.EcamStart + (FunctionStride * 32));
        a.jb(next);
        a.Fail(GuestFailure.DeviceNotFound);
        a.Place(ref found);
        a.mov(__qword_ptr[GuestVariables.ConfigSpace], rbx);
        a.mov(eax, 6); // memory, bus master
        a.mov(__word_ptr[rbx + Command], ax);
        WalkCapabilities(a);
        a.mov(r15, __qword_ptr[GuestVariables.Structures + (8 * VIRTIO_PCI_CAP_COMMON_CFG)]);
        if (interrupts)
            EnableMsix(a);
    }

    internal override void Kick(Assembler a, GuestRing ring)
    {
        a.mov(rcx, __qword_ptr[ring.DoorbellAddress]);
        a.mov(eax, ring.Index);
        a.mov(__word_ptr[rcx], ax);
    }

    protected override (int Offset, int Width) Locate(GuestRegister register) => register switch
    {
        GuestRegister.DriverFeatureSelect => ((int)VIRTIO_PCI_COMMON_GFSELECT, 4),
        GuestRegister.DriverFeature => ((int)VIRTIO_PCI_COMMON_GF, 4),
        GuestRegister.Status => ((int)VIRTIO_PCI_COMMON_STATUS, 1),
        GuestRegister.QueueSelect => ((int)VIRTIO_PCI_COMMON_Q_SELECT, 2),
        GuestRegister.QueueSize => ((int)VIRTIO_PCI_COMMON_Q_SIZE, 2),
        GuestRegister.QueueEnable => ((int)VIRTIO_PCI_COMMON_Q_ENABLE, 2),
        GuestRegister.DescriptorArea => ((int)VIRTIO_PCI_COMMON_Q_DESCLO, 4),
        GuestRegister.DriverArea => ((int)VIRTIO_PCI_COMMON_Q_AVAILLO, 4),
        _ => ((int)VIRTIO_PCI_COMMON_Q_USEDLO, 4),
    };

    protected override void PrepareQueue(Assembler a, GuestRing ring)
    {
        a.movzx(eax, __word_ptr[r15 + VIRTIO_PCI_COMMON_Q_NOFF]);
        a.imul(eax, __dword_ptr[GuestVariables.NotifyMultiplier]);
        a.add(rax, __qword_ptr[GuestVariables.Structures + (8 * VIRTIO_PCI_CAP_NOTIFY_CFG)]);
        a.mov(__qword_ptr[ring.DoorbellAddress], rax);
        if (!interrupts || ring.Index != 0)
            return;
        a.xor(eax, eax);
        a.mov(__word_ptr[r15 + VIRTIO_PCI_COMMON_Q_MSIX], ax);
    }

    // rbx: configuration space, rcx: the capability.
    private static void WalkCapabilities(Assembler a)
    {
        Label walk = a.CreateLabel(), notVendor = a.CreateLabel(), next = a.CreateLabel(), done = a.CreateLabel();
        a.movzx(ecx, __byte_ptr[rbx + Capabilities]);
        a.Place(ref walk);
        a.test(ecx, ecx);
        a.jz(done);
        a.mov(al, __byte_ptr[rbx + rcx]);
        a.cmp(al, VendorCapability);
        a.jne(notVendor);
        a.movzx(eax, __byte_ptr[rbx + rcx + VIRTIO_PCI_CAP_CFG_TYPE]);
        a.cmp(eax, GuestVariables.StructureTypes);
        a.jae(next);
        a.mov(r10d, eax);
        a.movzx(eax, __byte_ptr[rbx + rcx + VIRTIO_PCI_CAP_BAR]);
        LoadBar(a);
        a.mov(r9d, __dword_ptr[rbx + rcx + VIRTIO_PCI_CAP_OFFSET]);
        a.add(r8, r9);
        a.mov(__qword_ptr[r10 * 8 + GuestVariables.Structures], r8);
        a.cmp(r10d, VIRTIO_PCI_CAP_NOTIFY_CFG);
        a.jne(next);
        a.mov(eax, __dword_ptr[rbx + rcx + VIRTIO_PCI_NOTIFY_CAP_MULT]);
        a.mov(__dword_ptr[GuestVariables.NotifyMultiplier], eax);
        a.jmp(next);
        a.Place(ref notVendor);
        a.cmp(al, MsixCapability);
        a.jne(next);
        a.mov(__dword_ptr[GuestVariables.MsixCapability], ecx);
        a.mov(r9d, __dword_ptr[rbx + rcx + 4]);
        a.mov(eax, r9d);
        a.and(eax, 7);
        a.and(r9d, -8);
        LoadBar(a);
        a.add(r8, r9);
        a.mov(__qword_ptr[GuestVariables.MsixTable], r8);
        a.Place(ref next);
        a.movzx(ecx, __byte_ptr[rbx + rcx + 1]);
        a.jmp(walk);
        a.Place(ref done);
    }

    // The address in BAR eax into r8; changes rax and r11.
    private static void LoadBar(Assembler a)
    {
        Label narrow = a.CreateLabel();
        a.mov(r8d, __dword_ptr[rbx + rax * 4 + Bars]);
        a.test(r8d, 4);
        a.jz(narrow);
        a.mov(r11d, __dword_ptr[rbx + rax * 4 + (Bars + 4)]);
        a.shl(r11, 32);
        a.or(r8, r11);
        a.Place(ref narrow);
        a.and(r8, -16);
    }

    private static void EnableMsix(Assembler a)
    {
        a.mov(rcx, __qword_ptr[GuestVariables.MsixTable]);
        uint[] entry = [GuestCode.LocalApic, 0, UserKernel.Vector, 0];
        for (int i = 0; i < entry.Length; i++)
        {
            a.mov(eax, entry[i]);
            a.mov(__dword_ptr[rcx + (4 * i)], eax);
        }

        a.mov(ecx, __dword_ptr[GuestVariables.MsixCapability]);
        a.mov(eax, 0x8000);
        a.mov(__word_ptr[rbx + rcx + 2], ax);
    }
}
