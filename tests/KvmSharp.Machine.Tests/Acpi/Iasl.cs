using System.Diagnostics;
using KvmSharp.Machine.Acpi;

namespace KvmSharp.Machine.Tests.Acpi;

/// <summary>Runs iasl on built tables in a folder of its own.</summary>
internal sealed class Iasl : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-iasl-").FullName;

    /// <summary>Disassembles every table, compiles the result and returns what iasl complained about.</summary>
    public IReadOnlyList<string> RoundTrip(AcpiTables tables)
    {
        List<string> complaints = [];
        foreach (AcpiTableInfo table in tables.Tables)
        {
            if (table.Signature is "FACS" or "XSDT")
                continue; // rebuilt from their own bytes only; checked structurally
            string name = Path.Combine(_folder, table.Signature);
            int offset = (int)(table.Address - MachineLayout.AcpiStart);
            File.WriteAllBytes(name + ".aml", tables.Image.Slice(offset, table.Length).ToArray());
            complaints.AddRange(Complaints(Run("-d", name + ".aml")));
            complaints.AddRange(Complaints(Run("-ve", "-oa", "-p", name + "_again", name + ".dsl")));
            if (table.Signature == "DSDT" && !File.ReadAllBytes(name + ".aml").AsSpan(36).SequenceEqual(File.ReadAllBytes(name + "_again.aml").AsSpan(36)))
                complaints.Add("DSDT: compiling the disassembly gives other bytes");
        }

        return complaints;
    }

    /// <summary>The DSDT's source after <see cref="RoundTrip"/>.</summary>
    public string Dsl(string signature) => File.ReadAllText(Path.Combine(_folder, signature + ".dsl"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static IEnumerable<string> Complaints(string output) =>
        output.Split('\n').Where(l => (l.Contains("Error", StringComparison.Ordinal) || l.Contains("Warning", StringComparison.Ordinal)
            || l.Contains("Invalid", StringComparison.Ordinal) || l.Contains("Incorrect", StringComparison.Ordinal) || l.Contains("Could not", StringComparison.Ordinal))
            && !l.Contains("0 Errors, 0 Warnings", StringComparison.Ordinal));

    private string Run(params string[] arguments)
    {
        ProcessStartInfo start = new("iasl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.GetAwaiter().GetResult();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }
}
