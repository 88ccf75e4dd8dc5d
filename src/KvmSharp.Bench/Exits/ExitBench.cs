using System.Globalization;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Exits;

/// <summary><c>bench exits</c>: alternates the C loop and this program's run loop over the same guest code.</summary>
/// <param name="rounds">At least 1.</param>
public sealed class ExitBench(int rounds, Action<string> progress)
{
    private const string Side = "kvmsharp", Work = "exit";

    // Short rounds, and many: how fast the host is, and which memory a machine has, changes from one to the next by more than what is measured.
    private const int Batches = 2, PerBatch = 500;

    /// <summary>Throws <see cref="BenchException"/> or <see cref="Core.LinuxException"/> when this host cannot, <see cref="OperationCanceledException"/> when cancelled.</summary>
    public BenchReport Run(CancellationToken cancel)
    {
        List<Series> series = [.. ExitKind.All.Select(kind => Compare(kind, cancel))];
        string text = rounds.ToString(CultureInfo.InvariantCulture);
        return new BenchReport("exits", HostFacts.Read(), [new("rounds", text), new("exits", string.Create(CultureInfo.InvariantCulture, $"{Batches * PerBatch} a round"))], series);
    }

    // Each round's two halves are compared with each other only.
    private Series Compare(ExitKind kind, CancellationToken cancel)
    {
        int perBatch = Math.Max(1, PerBatch / kind.PerExit);
        double[] floors = new double[rounds], ours = new double[rounds];
        _ = ExitMachine.Measure(kind, 2, perBatch);
        for (int i = 0; i < rounds; i++)
        {
            cancel.ThrowIfCancellationRequested();
            progress($"{kind.Path}: round {i + 1} of {rounds}");
            if (i % 2 == 0)
                floors[i] = Condense(kind, ExitFloor.Measure(kind, Batches, perBatch));
            ours[i] = Condense(kind, ExitMachine.Measure(kind, Batches, perBatch));
            if (i % 2 != 0)
                floors[i] = Condense(kind, ExitFloor.Measure(kind, Batches, perBatch));
        }

        Metric above = new("over floor", "ns", false, [.. ours.Zip(floors, (a, b) => a - b)]);
        return new Series(Side, kind.Path, Work, "", [new("cost", "ns", false, ours), new("floor", "ns", false, floors), above], []);
    }

    private static double Condense(ExitKind kind, double[] batches) => new Metric("", "", false, batches).Median / kind.PerExit;
}
