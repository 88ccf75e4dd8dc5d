using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Tests.Boot;

public sealed class LoadHelperTests : BootFixture
{
    private readonly LoadHelper _helper = new();

    [Theory]
    [InlineData(0)] // Multiboot's kernels begin anywhere.
    [InlineData(0x1000)]
    [InlineData(0x1F_FFFF)]
    public void Share_LongFileBesideAHelper_AllBytesAreInPlace(ulong misalignment)
    {
        const int length = (20 << 20) + 4567;
        byte[] contents = new byte[length];
        new Random(42).NextBytes(contents);
        ulong address = (4 << 20) + misalignment;
        using BootFile file = BootFile.Open("initrd", File("initrd", contents), null);
        Thread helping = StartHelping(_helper);

        Assert.True(file.TryReadToGuest(Memory, address, 0, length, _helper));

        Assert.Equal(contents, Bytes(address, length));
        Assert.Equal(0u, U32(address + length) & 0xFF);
        EndHelping(_helper, helping);
    }

    [Fact]
    public void Share_BesideAHelper_EachPieceIsCopiedOnceAndBothCopySome()
    {
        const int pieces = 64;
        int[] fromFront = new int[pieces], fromBack = new int[pieces];
        Thread helping = StartHelping(_helper);
        using ManualResetEventSlim loaderCame = new(), helperCame = new();

        _helper.Share(pieces, i =>
        {
            loaderCame.Set();
            Assert.True(helperCame.Wait(10_000));
            fromFront[i]++;
        }, i =>
        {
            helperCame.Set();
            Assert.True(loaderCame.Wait(10_000));
            fromBack[i]++;
        });

        Assert.All(fromFront.Zip(fromBack), both => Assert.Equal(1, both.First + both.Second));
        Assert.True(fromFront[0] == 1 && fromBack[^1] == 1);
        EndHelping(_helper, helping);
    }

    [Fact]
    public void Share_WithoutAHelper_AllIsDoneHere()
    {
        var copied = new List<ulong>();
        _helper.Share(5, copied.Add, _ => throw new InvalidOperationException());
        Assert.Equal([0, 1, 2, 3, 4], copied);
    }

    [Fact]
    public void Share_HelperFails_FailureIsTheLoadersAndTheNextIsWhole()
    {
        Thread helping = StartHelping(_helper);
        using var failed = new ManualResetEventSlim();

        Assert.Throws<BootException>(() => _helper.Share(1000, i => Assert.True(failed.Wait(10_000)), _ =>
        {
            failed.Set();
            throw new BootException("shrunk; do not");
        }));

        int copied = 0;
        _helper.Share(100, _ => Interlocked.Increment(ref copied), _ => Interlocked.Increment(ref copied));
        Assert.Equal(100, copied);
        EndHelping(_helper, helping);
    }

    [Fact]
    public void Share_LoaderFails_WaitsForThePieceThatIsBeingCopied()
    {
        Thread helping = StartHelping(_helper);
        using var helperCame = new ManualResetEventSlim();
        bool isDone = false;

        Assert.Throws<BootException>(() => _helper.Share(2, _ =>
        {
            Assert.True(helperCame.Wait(10_000));
            throw new BootException("shrunk; do not");
        }, _ =>
        {
            helperCame.Set();
            Thread.Sleep(100);
            Volatile.Write(ref isDone, true);
        }));

        Assert.True(Volatile.Read(ref isDone));
        EndHelping(_helper, helping);
    }
}
