using System.Globalization;
using System.Text.Json;
using KvmSharp.Core.Events;

namespace KvmSharp.Machine.Config;

/// <summary>An I/O thread that devices name.</summary>
/// <param name="Id">Letters, digits, <c>-_.</c>, at most 32.</param>
public sealed record IoThreadConfig(string Id)
{
    /// <summary>Numbers up to this need no declaration.</summary>
    public const int MaxNumber = 999;

    private const int MaxIdLength = 32;

    /// <summary>Host CPUs that the thread may run on; empty: all.</summary>
    public IReadOnlyList<int> Cpus { get; init; } = [];

    /// <summary>Longest busy polling before it sleeps, in nanoseconds; 0: none. Null: the default.</summary>
    public int? PollMaxNs { get; init; }

    internal static MachineOption Option { get; } = new()
    {
        Name = "iothread", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "id=NAME[,cpus=LIST][,poll-max-ns=N]",
        Keys = [new("id", OptionKeyKind.Text), new("cpus", OptionKeyKind.List), new("poll-max-ns", OptionKeyKind.Integer)],
        Help = "an I/O thread that virtio devices name, where it may run (as 0-3:6) and how long it polls",
        Apply = (c, v) => c with { IoThreads = [.. v.Select(Read)] },
        Write = (w, c) => w.WriteObjects("iothread", c.IoThreads, thread => thread.Write(w)),
    };

    /// <summary>True for a name that needs no declaration.</summary>
    internal static bool IsNumber(string id) =>
        id.Length is >= 1 and <= 3 && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= MaxNumber;

    private static IoThreadConfig Read(OptionValues v)
    {
        string id = v.Text("id") is { Length: > 0 } text ? text : throw new ConfigException($"{v.Where}: id is missing", "name the thread: --iothread id=fast,cpus=2");
        if (id.Length > MaxIdLength || id.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
            throw new ConfigException($"{v.Where}: id '{Printable.Line(id)}' must be 1 to {MaxIdLength} letters, digits and -_.");
        return new IoThreadConfig(id) { Cpus = v.Numbers("cpus", CpuAffinity.MaxCpus - 1), PollMaxNs = VirtioSettings.ReadPollMaxNs(v) };
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteString("id", Id);
        VirtioSettings.WriteList(writer, "cpus", Cpus);
        if (PollMaxNs is { } poll)
            writer.WriteNumber("poll-max-ns", poll);
    }
}
