using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace KvmSharp.Abi.Tests.Layout;

/// <summary>Asks the C compiler what the installed headers say about C# declarations, and compares.</summary>
public static partial class LayoutProbe
{
    /// <summary>Compiles and runs a probe of all <paramref name="declarations"/>. Throws when there is no compiler or the prelude itself does not compile.</summary>
    public static LayoutReport Run(IReadOnlyList<AbiDeclaration> declarations)
    {
        string folder = Directory.CreateTempSubdirectory("kvmsharp-layout-").FullName;
        try
        {
            var missing = new HashSet<int>();
            string program = Path.Combine(folder, "probe");
            while (true)
            {
                File.WriteAllText(program + ".c", Source(declarations, missing));
                (int code, string output) = Execute("cc", folder, "-std=gnu11", "-fmax-errors=0", "-w", "-I", AppContext.BaseDirectory, "-o", program, program + ".c");
                if (code == 0)
                {
                    break;
                }

                int known = missing.Count;
                missing.UnionWith(ErrorLine().Matches(output).Select(m => int.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture) - 1));
                if (missing.Count == known || missing.Any(line => line >= declarations.Count))
                {
                    throw new InvalidOperationException("The layout probe does not compile:\n" + output);
                }
            }

            (int status, string measured) = Execute(program, folder);
            return status == 0
                ? Compare(declarations, missing, measured)
                : throw new InvalidOperationException($"The layout probe ended with {status}:\n{measured}");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // One declaration per line, and #line so that an error's line number is the declaration's index.
    private static string Source(IReadOnlyList<AbiDeclaration> declarations, HashSet<int> without)
    {
        var source = new StringBuilder("#include \"layout-probe.h\"\nint main(void)\n{\n#line 1 \"declarations\"\n");
        for (int i = 0; i < declarations.Count; i++)
        {
            source.Append(without.Contains(i) ? string.Empty : declarations[i].ToProbe()).Append('\n');
        }

        return source.Append("return 0;\n}\n").ToString();
    }

    private static LayoutReport Compare(IReadOnlyList<AbiDeclaration> declarations, HashSet<int> missing, string measured)
    {
        // Two classes may declare one C name: C answers the same for both, and each is compared.
        var lines = measured.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')).DistinctBy(p => p[0] + " " + p[1]).ToDictionary(p => p[0] + " " + p[1]);
        var absent = new List<string>();
        var wrong = new List<string>();
        for (int i = 0; i < declarations.Count; i++)
        {
            AbiDeclaration d = declarations[i];
            if (missing.Contains(i))
            {
                absent.Add(d.Name);
                continue;
            }

            string kind = d.Kind switch { AbiKind.Struct => "struct", AbiKind.Field => "field", _ => "const" };
            string[] parts = lines[kind + " " + d.Name];
            ulong first = ulong.Parse(parts[2], CultureInfo.InvariantCulture);
            switch (d.Kind)
            {
                case AbiKind.Struct when first != d.First:
                    wrong.Add($"struct {d.Name}: {d.First} bytes, C has {first}");
                    break;
                case AbiKind.Field when first != d.First || ulong.Parse(parts[3], CultureInfo.InvariantCulture) != d.Second:
                    wrong.Add($"field {d.Name}: {d.Second} bytes at {d.First}, C has {parts[3]} at {first}");
                    break;
                case AbiKind.Constant when !SameValue(first, d):
                    wrong.Add($"constant {d.Name}: 0x{d.First:x}, C has 0x{first:x}");
                    break;
            }
        }

        return new LayoutReport(wrong, absent, lines.Count);
    }

    // C's value is printed sign-extended: an int ~0 matches a uint of the same bits, but a value that the C# type cannot hold does not.
    private static bool SameValue(ulong c, AbiDeclaration d)
    {
        ulong mask = AbiReflection.Mask(d.Second);
        ulong upper = c & ~mask;
        return (c & mask) == d.First && (upper == 0 || upper == ~mask);
    }

    private static (int Status, string Output) Execute(string file, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(file, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    [GeneratedRegex(@"^declarations:(\d+):\d+: (?:error|note: in expansion)", RegexOptions.Multiline)]
    private static partial Regex ErrorLine();
}
