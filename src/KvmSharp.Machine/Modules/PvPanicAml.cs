using KvmSharp.Devices.Chipset;
using KvmSharp.Machine.Acpi;

namespace KvmSharp.Machine.Modules;

/// <summary>The pvpanic device in the DSDT, under the hardware id that Linux's pvpanic-mmio driver looks for.</summary>
internal sealed class PvPanicAml : IAmlSource
{
    private const uint PresentEnabledFunctioning = 0xB; // ACPI 6.3 §6.3.7 _STA, not shown in a user interface

    public void WriteAml(AmlWriter writer)
    {
        using (writer.Device("PEVT"))
        {
            writer.Name("_HID", AmlTerm.String("QEMU0001"));
            writer.Name("_STA", PresentEnabledFunctioning);
            writer.Name("_CRS", new AmlResources().Io(PvPanic.DefaultPort, 1).End());
        }
    }
}
