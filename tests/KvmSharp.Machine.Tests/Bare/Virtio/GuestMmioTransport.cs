using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Virtio.VirtioMmio;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>The registers of virtio-mmio, where the machine's ACPI tables say.</summary>
internal sealed class GuestMmioTransport : GuestTransport
{
    internal override void Find(Assembler a, uint deviceId)
    {
        Label next = a.CreateLabel(), found = a.CreateLabel();
        a.mov(r15d, (uint)MachineLayout.VirtioMmioStart);
        a.Place(ref next);
        a.mov(eax, __dword_ptr[r15 + VIRTIO_MMIO_DEVICE_ID]);
        a.cmp(eax, deviceId);
        a.je(found);
        a.add(r15d, 0x1000);
        a.cmp(r15d, (uint)MachineLayout.VirtioMmioStart + (0x1000 * MachineLayout.VirtioMmioCount));
        a.jb(next);
        a.Fail(GuestFailure.DeviceNotFound);
        a.Place(ref found);
    }

    internal override void Kick(Assembler a, GuestRing ring)
    {
        a.mov(eax, ring.Index);
        a.mov(__dword_ptr[r15 + VIRTIO_MMIO_QUEUE_NOTIFY], eax);
    }

    protected override (int Offset, int Width) Locate(GuestRegister register) => ((int)(register switch
    {
        GuestRegister.DriverFeatureSelect => VIRTIO_MMIO_DRIVER_FEATURES_SEL,
        GuestRegister.DriverFeature => VIRTIO_MMIO_DRIVER_FEATURES,
        GuestRegister.Status => VIRTIO_MMIO_STATUS,
        GuestRegister.QueueSelect => VIRTIO_MMIO_QUEUE_SEL,
        GuestRegister.QueueSize => VIRTIO_MMIO_QUEUE_NUM,
        GuestRegister.QueueEnable => VIRTIO_MMIO_QUEUE_READY,
        GuestRegister.DescriptorArea => VIRTIO_MMIO_QUEUE_DESC_LOW,
        GuestRegister.DriverArea => VIRTIO_MMIO_QUEUE_AVAIL_LOW,
        _ => VIRTIO_MMIO_QUEUE_USED_LOW,
    }), 4);
}
