namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>What a payload leaves with when it cannot go on; the process status is twice that and one.</summary>
internal enum GuestFailure : uint
{
    DeviceNotFound = 0x20,
    FeaturesRefused,
    UsedNotInFlight,
}
