namespace KvmSharp.GuestTests;

/// <summary>All guest tests share one host and run one after another.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class GuestTestGroup : ICollectionFixture<GuestHost>
{
    public const string Name = "guests";
}
