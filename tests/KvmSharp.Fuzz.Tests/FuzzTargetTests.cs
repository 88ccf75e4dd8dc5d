using System.Diagnostics;
using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Tests;

/// <summary>Every target over its saved inputs, and over some that nobody has seen: the same ones each time.</summary>
public sealed class FuzzTargetTests
{
    private const ulong Seed = 20;
    private const int FreshInputs = 10_000;

    /// <summary>Targets with threads of their own do fewer: all of them together must not take half a minute.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(1);

    public static TheoryData<string> Targets => [.. FuzzCatalog.All.Select(target => target.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Run_SavedAndFreshInputs_KeepsEveryPromise(string name)
    {
        FuzzTarget target = FuzzCatalog.Find(name)!;
        using FuzzSession session = new(target, Seed);
        foreach ((string file, byte[] input) in new Corpus(Path.Combine(AppContext.BaseDirectory, "corpus")).Load(name))
            Check(session.Replay(input), Path.GetFileName(file));
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < FreshInputs && Stopwatch.GetElapsedTime(start) < s_limit; i++)
            Check(session.Step(), $"seed {Seed}, input {i}");
    }

    private static void Check(FuzzFinding? finding, string where) =>
        Assert.True(finding is null, finding is null ? null : $"{where}: {Convert.ToHexString(finding.Input)}: {finding.Error}");
}
