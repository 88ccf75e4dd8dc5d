namespace KvmSharp.Devices.Pci;

/// <summary>A device's own behaviour in configuration space, such as a window capability. Called under the PCI root's lock.</summary>
public interface IPciConfigHook
{
    /// <summary>The guest is about to read these bytes: refresh them in the <see cref="PciConfigSpace"/>.</summary>
    void BeforeRead(int offset, int length);

    /// <summary>The guest wrote these bytes, masks already applied.</summary>
    void AfterWrite(int offset, int length);
}
