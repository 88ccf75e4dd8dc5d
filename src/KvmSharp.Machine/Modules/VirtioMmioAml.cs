using KvmSharp.Machine.Acpi;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Machine.Modules;

/// <summary>Announces a virtio-mmio device as LNRO0005, which is how stock kernels find one.</summary>
internal sealed class VirtioMmioAml(int index, ulong address, uint gsi) : IAmlSource
{
    public void WriteAml(AmlWriter writer)
    {
        using AmlWriter.Block device = writer.Device($"VR{index:D2}");
        writer.Name("_HID", AmlTerm.String("LNRO0005"));
        writer.Name("_UID", (uint)index);
        writer.Name("_CCA", 1);
        writer.Name("_CRS", new AmlResources()
            .Memory32Fixed((uint)address, (uint)VirtioMmioTransport.Length)
            .Interrupt(gsi, level: true, activeLow: false, shared: true)
            .End());
    }
}
