using FsCheck;
using FsCheck.Fluent;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueModelTests
{
    /// <summary>A failure names the seed; replay it with <c>WithReplay</c>.</summary>
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
        Config config = Config.QuickThrowOnFailure.WithMaxTest(150).WithStartSize(20).WithEndSize(600);

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
