namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>Where payloads that drive virtio devices keep what they know, in guest memory.</summary>
internal static class GuestVariables
{
    internal const uint Start = 0x19_0000;

    /// <summary>Requests whose used length was not the expected one, dword.</summary>
    internal const uint Mismatches = Start;

    /// <summary>Address of the function's configuration space, qword.</summary>
    internal const uint ConfigSpace = Start + 0x08;

    /// <summary>Offset of the MSI-X capability in it, dword, and where the table is, qword.</summary>
    internal const uint MsixCapability = Start + 0x10;
    internal const uint MsixTable = Start + 0x18;

    internal const uint NotifyMultiplier = Start + 0x20;

    /// <summary>Addresses of the structures that the vendor capabilities describe, by their type, qwords.</summary>
    internal const uint Structures = Start + 0x40;
    internal const int StructureTypes = 6;
}
