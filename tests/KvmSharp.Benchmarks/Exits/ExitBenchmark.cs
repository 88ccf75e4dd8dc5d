using System.Globalization;

namespace KvmSharp.Benchmarks.Exits;

/// <summary>The <c>exits</c> command: alternates the C loop and KvmSharp's run loop over the same payload.</summary>
public static class ExitBenchmark
{
    private const int Batches = 20;
    private const int WritesPerBatch = 1000;

    /// <param name="arguments">Path of the C program, and the number of rounds if not 11.</param>
    public static int Run(string[] arguments)
    {
        int rounds = 11;
        if (arguments.Length is 0 or > 2 || (arguments.Length == 2 && (!int.TryParse(arguments[1], CultureInfo.InvariantCulture, out rounds) || rounds < 1)))
        {
            Console.Error.WriteLine("usage: KvmSharp.Benchmarks exits EXIT-FLOOR [ROUNDS]");
            return 2;
        }

        foreach (string kind in (string[])["pio", "mmio"])
        {
            Compare(Path.GetFullPath(arguments[0]), kind, rounds);
        }

        return 0;
    }

    // The host's speed drifts by more than what is measured, so each round's two halves are compared with each other only.
    private static void Compare(string exitFloor, string kind, int rounds)
    {
        byte[] code = ExitPayload.Load(exitFloor, kind);
        ExitMachine.Measure(kind, code, 2, WritesPerBatch);
        var floors = new double[rounds];
        var ours = new double[rounds];
        for (int i = 0; i < rounds; i++)
        {
            if (i % 2 == 0)
            {
                floors[i] = Floor(exitFloor, kind);
                ours[i] = Figures.Median(ExitMachine.Measure(kind, code, Batches, WritesPerBatch));
            }
            else
            {
                ours[i] = Figures.Median(ExitMachine.Measure(kind, code, Batches, WritesPerBatch));
                floors[i] = Floor(exitFloor, kind);
            }
        }

        double over = Figures.Median(ours.Zip(floors, (a, b) => a - b));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"exit {kind}: C loop {Figures.Median(floors):F0} ns (best {floors.Min():F0}), KvmSharp {Figures.Median(ours):F0} ns (best {ours.Min():F0}), {rounds} rounds of {Batches} x {WritesPerBatch} writes"));
        Figures.Print($"exit.{kind}.over_floor", over, "ns");
    }

    private static double Floor(string exitFloor, string kind)
    {
        string output = ExitPayload.Run(exitFloor, kind, Batches.ToString(CultureInfo.InvariantCulture), WritesPerBatch.ToString(CultureInfo.InvariantCulture));
        return Figures.Median(output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => double.Parse(line, CultureInfo.InvariantCulture)));
    }
}
