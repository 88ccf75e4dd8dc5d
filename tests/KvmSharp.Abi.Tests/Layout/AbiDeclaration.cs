namespace KvmSharp.Abi.Tests.Layout;

/// <summary>What kind of C declaration a C# one mirrors.</summary>
public enum AbiKind
{
    /// <summary>A struct: its size.</summary>
    Struct,

    /// <summary>A field of a struct: its offset and size.</summary>
    Field,

    /// <summary>A macro or enumerator: its value.</summary>
    Constant,
}

/// <summary>One C# declaration with what C# says about it: <paramref name="First"/> is a size, an offset or a value, <paramref name="Second"/> a field's size.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Name">The C name; for fields <c>struct.path</c>.</param>
/// <param name="First">Size, offset, or value.</param>
/// <param name="Second">Size of the field, or bytes of the constant's C# type.</param>
public sealed record AbiDeclaration(AbiKind Kind, string Name, ulong First, ulong Second)
{
    /// <summary>The line of C that asks the compiler about it.</summary>
    public string ToProbe()
    {
        switch (Kind)
        {
            case AbiKind.Struct:
                return $"PROBE_STRUCT(\"{Name}\", {CType(Name)})";
            case AbiKind.Field:
                int dot = Name.IndexOf('.', StringComparison.Ordinal);
                return $"PROBE_FIELD(\"{Name}\", {CType(Name[..dot])}, {Name[(dot + 1)..]})";
            default:
                return $"PROBE_CONST(\"{Name}\", {Name})";
        }
    }

    private static string CType(string name) => name.EndsWith("_t", StringComparison.Ordinal) ? name : "struct " + name;
}
