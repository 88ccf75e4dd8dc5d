namespace KvmSharp.GuestTests;

/// <summary>
/// Tests of the machine as such and of emulated devices. This group and <see cref="DataPathGuests"/> take about the same time and run side by side,
/// each in a lab of its own, which keeps one CPU busy.
/// </summary>
[CollectionDefinition(Name)]
public sealed class MachineGuests : ICollectionFixture<GuestHost>
{
    public const string Name = "machine guests";
}

/// <summary>Tests of virtio: disks, networks, consoles, and back ends in other processes.</summary>
[CollectionDefinition(Name)]
public sealed class DataPathGuests : ICollectionFixture<GuestHost>
{
    public const string Name = "data path guests";
}
