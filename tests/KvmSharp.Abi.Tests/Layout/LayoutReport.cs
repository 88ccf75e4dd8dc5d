namespace KvmSharp.Abi.Tests.Layout;

/// <summary>What a <see cref="LayoutProbe"/> found.</summary>
/// <param name="Wrong">One sentence per declaration that differs from C.</param>
/// <param name="Absent">Names the installed headers do not have.</param>
/// <param name="Checked">How many declarations were compared.</param>
public sealed record LayoutReport(IReadOnlyList<string> Wrong, IReadOnlyList<string> Absent, int Checked);
