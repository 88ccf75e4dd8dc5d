namespace KvmSharp.Bench.Guest;

/// <summary>A workload of the guest's script.</summary>
/// <param name="Test">Its name there.</param>
/// <param name="Name">Its name in reports.</param>
/// <param name="Figure">What the figure is in reports.</param>
/// <param name="Unit">Its unit there.</param>
/// <param name="Divisor">Of the script's figure, for that unit.</param>
public sealed record GuestWork(string Test, string Name, string Figure, string Unit, double Divisor)
{
    public static IReadOnlyList<GuestWork> OfNetworks { get; } =
    [
        new("tcp_out", "tcp-out", "speed", "Mbit/s", 1000),
        new("tcp_in", "tcp-in", "speed", "Mbit/s", 1000),
        new("udp64_out", "send-64", "rate", "1/s", 1),
        new("round_trip", "round-trip", "rate", "1/s", 1),
    ];

    public static IReadOnlyList<GuestWork> OfDisks { get; } = [new("read4k", "read-4k", "rate", "1/s", 1)];

    /// <summary>Null if there is none.</summary>
    public static GuestWork? Find(string test) => OfNetworks.Concat(OfDisks).FirstOrDefault(w => w.Test == test);
}
