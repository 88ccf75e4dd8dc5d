using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Tests;

public sealed class EngineTests
{
    [Fact]
    public void Step_SameSeed_MakesTheSameInputs()
    {
        Assert.Equal(Inputs(7), Inputs(7));
        Assert.NotEqual(Inputs(7), Inputs(8));
    }

    [Fact]
    public void Step_BrokenTarget_IsFoundAndShrunk()
    {
        using FuzzSession session = new(new FuzzTarget("broken", () => new Broken()), 1);
        FuzzFinding? finding = null;
        for (int i = 0; i < 100_000 && finding is null; i++)
            finding = session.Step();

        Assert.NotNull(finding);
        Assert.True(finding.Reproduced);
        Assert.Equal([0xAB], finding.Input);
    }

    [Fact]
    public void Step_BrokenOnlyLater_FindsTheGuiltyInput()
    {
        using FuzzSession session = new(new FuzzTarget("sticky", () => new Sticky()), 1);
        FuzzFinding? finding = null;
        for (int i = 0; i < 100_000 && finding is null; i++)
            finding = session.Step();

        Assert.NotNull(finding);
        Assert.True(finding.Reproduced);
        Assert.Equal([0xCD], finding.Input);
    }

    [Fact]
    public void Salvage_AfterADeath_GivesTheInput()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.WriteAllBytes(path, [3, 0, 0, 0, 1, 2, 3, 4, 5]);

        Assert.Equal([1, 2, 3], Journal.Salvage(path));
        Assert.Null(Journal.Salvage(path));
    }

    [Fact]
    public void Journal_Disposed_LeavesNothing()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using (Journal journal = new(path, 16))
        {
            journal.Write([1, 2, 3]);
            Assert.Equal([3, 0, 0, 0, 1, 2, 3], File.ReadAllBytes(path)[..7]);
        }

        Assert.False(File.Exists(path));
    }

    private static List<byte[]> Inputs(ulong seed)
    {
        List<byte[]> inputs = [];
        using FuzzSession session = new(new FuzzTarget("any", () => new Harmless()), seed) { Before = (input, _) => inputs.Add(input.ToArray()) };
        for (int i = 0; i < 200; i++)
            session.Step();
        return inputs;
    }

    private class Harmless : IFuzzTarget
    {
        public virtual void Run(FuzzScript script) => script.Observe(0, script.U8());

        public virtual void Probe()
        {
        }

        public void Dispose()
        {
        }
    }

    private sealed class Broken : Harmless
    {
        public override void Run(FuzzScript script)
        {
            while (!script.AtEnd)
                FuzzFailure.Unless(script.U8() != 0xAB, "no AB");
        }
    }

    private sealed class Sticky : Harmless
    {
        private bool _stuck;

        public override void Run(FuzzScript script) => _stuck |= script.U8() == 0xCD;

        public override void Probe() => FuzzFailure.Unless(!_stuck, "stuck");
    }
}
