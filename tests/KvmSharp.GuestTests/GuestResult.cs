using System.Text.RegularExpressions;

namespace KvmSharp.GuestTests;

/// <summary>How a guest ended and all it printed (with what the monitor printed). Status null: it did not end in time.</summary>
public sealed partial record GuestResult(int? Status, string Output)
{
    /// <summary>True when the guest's own init came up.</summary>
    public bool ReachedUserSpace => Output.Contains("KVMSHARP-GUEST-READY", StringComparison.Ordinal);

    /// <summary>The value of a "KVMSHARP name=value" line, or null.</summary>
    public string? Value(string name)
    {
        string prefix = $"KVMSHARP {name}=";
        // What the monitor says may come in the middle of a line of the guest.
        foreach (string line in MonitorLines().Replace(Output, "").Split('\n'))
        {
            int at = line.IndexOf(prefix, StringComparison.Ordinal);
            if (at >= 0)
                return line[(at + prefix.Length)..].TrimEnd('\r');
        }

        return null;
    }

    [GeneratedRegex(@"kvmsharp: (warning|info|hint): [^\n]*\n")]
    private static partial Regex MonitorLines();

    /// <summary>For assertion messages: the status and the end of the output.</summary>
    public string Describe()
    {
        string tail = Output.Length > 6000 ? Output[^6000..] : Output;
        return $"status {Status?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "none (time is up)"}, output ends with:\n{tail}";
    }
}
