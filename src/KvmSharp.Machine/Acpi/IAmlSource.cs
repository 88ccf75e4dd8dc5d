namespace KvmSharp.Machine.Acpi;

/// <summary>A device that describes itself in the DSDT.</summary>
public interface IAmlSource
{
    /// <summary>Writes the device's objects; called once, inside <c>Scope (\_SB)</c>. Names must be unique there.</summary>
    void WriteAml(AmlWriter writer);
}
