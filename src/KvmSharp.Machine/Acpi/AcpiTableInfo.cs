namespace KvmSharp.Machine.Acpi;

/// <summary>Where a table lies in guest memory.</summary>
public readonly record struct AcpiTableInfo(string Signature, ulong Address, int Length);
