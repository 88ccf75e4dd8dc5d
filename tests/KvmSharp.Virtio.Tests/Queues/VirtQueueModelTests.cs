using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Xunit.Abstractions;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueModelTests(ITestOutputHelper output)
{
    /// <summary>Its number names the sequences of the next run, instead of a random one.</summary>
    private const string SeedVariable = "KVMSHARP_TEST_SEED";

    /// <summary>Any odd number; with the seed it is where FsCheck starts.</summary>
    private const ulong Gamma = 0x9E37_79B9_7F4A_7C15;

    [Theory]
    [InlineData((ushort)1, 0UL)]
    [InlineData((ushort)2, VirtioFeatures.EventIdx)]
    [InlineData((ushort)4, 0UL)]
    [InlineData((ushort)4, VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    [InlineData((ushort)8, VirtioFeatures.InOrder)]
    [InlineData((ushort)8, VirtioFeatures.InOrder | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    [InlineData((ushort)16, VirtioFeatures.EventIdx)]
    [InlineData((ushort)16, VirtioFeatures.IndirectDesc)]
    public void AnySequence_SplitAndPacked_LookTheSame(ushort size, ulong features)
    {
        Arbitrary<uint[]> sequences = Gen.Choose(0, int.MaxValue).Select(value => (uint)value).ArrayOf().ToArbitrary();
        ulong seed = Environment.GetEnvironmentVariable(SeedVariable) is { } given ? ulong.Parse(given, CultureInfo.InvariantCulture) : (ulong)Random.Shared.NextInt64();
        output.WriteLine($"{SeedVariable}={seed}");
        Config config = Config.QuickThrowOnFailure.WithReplay(seed, Gamma).WithMaxTest(150).WithStartSize(20).WithEndSize(600);

        Check.One(config, Prop.ForAll(sequences, operations =>
        {
            using QueueModelRun split = new(size, features);
            using QueueModelRun packed = new(size, features | VirtioFeatures.RingPacked);
            Run(split, operations);
            Run(packed, operations);
            Assert.Equal(split.Trace, packed.Trace);
        }));
    }

    private static void Run(QueueModelRun run, uint[] operations)
    {
        foreach (uint operation in operations)
            run.Step(operation);
        run.Finish();
    }
}
