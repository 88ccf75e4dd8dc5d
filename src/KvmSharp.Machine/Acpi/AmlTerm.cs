using System.Text;
using static KvmSharp.Machine.Acpi.AmlEncoding;

namespace KvmSharp.Machine.Acpi;

/// <summary>An encoded AML operand: data, a reference, or an expression (ACPI 6.5 §20.2.5).</summary>
public readonly struct AmlTerm
{
    private readonly byte[]? _bytes;

    private AmlTerm(byte[] bytes) => _bytes = bytes;

    internal ReadOnlySpan<byte> Bytes => _bytes ?? [0];

    public static implicit operator AmlTerm(uint value) => Integer(value);

    public static AmlTerm Integer(ulong value) => new(AmlEncoding.Integer(value));

    /// <summary>A NUL-terminated ASCII string.</summary>
    public static AmlTerm String(string value) => new([StringPrefix, .. Encoding.ASCII.GetBytes(value), 0]);

    /// <summary>A reference to a named object.</summary>
    public static AmlTerm Name(string name) => new(NameString(name));

    public static AmlTerm EisaId(string id) => Integer(AmlEncoding.EisaId(id));

    /// <summary>ArgX, 0-6.</summary>
    public static AmlTerm Arg(int index) => index is >= 0 and <= 6 ? new([(byte)(ArgOp + index)]) : throw new ArgumentOutOfRangeException(nameof(index));

    /// <summary>LocalX, 0-7.</summary>
    public static AmlTerm Local(int index) => index is >= 0 and <= 7 ? new([(byte)(LocalOp + index)]) : throw new ArgumentOutOfRangeException(nameof(index));

    public static AmlTerm Buffer(ReadOnlySpan<byte> data)
    {
        byte[] size = AmlEncoding.Integer((ulong)data.Length);
        return new([BufferOp, .. PackageLength(size.Length + data.Length), .. size, .. data]);
    }

    /// <summary>ToUUID: the mixed-endian buffer of §19.6.144.</summary>
    public static AmlTerm Uuid(string uuid) => Buffer(Guid.Parse(uuid).ToByteArray());

    /// <summary>A package of at most 255 elements.</summary>
    public static AmlTerm Package(params ReadOnlySpan<AmlTerm> elements)
    {
        List<byte> body = [checked((byte)elements.Length)];
        foreach (AmlTerm element in elements)
            body.AddRange(element.Bytes);
        return new([PackageOp, .. PackageLength(body.Count), .. body]);
    }

    // Arithmetic operators also store into a target; the default, Zero, is "none".
    public static AmlTerm And(AmlTerm a, AmlTerm b, AmlTerm target = default) => new([AndOp, .. a.Bytes, .. b.Bytes, .. target.Bytes]);

    public static AmlTerm Or(AmlTerm a, AmlTerm b, AmlTerm target = default) => new([OrOp, .. a.Bytes, .. b.Bytes, .. target.Bytes]);

    public static AmlTerm Add(AmlTerm a, AmlTerm b, AmlTerm target = default) => new([AddOp, .. a.Bytes, .. b.Bytes, .. target.Bytes]);

    public static AmlTerm Subtract(AmlTerm a, AmlTerm b, AmlTerm target = default) => new([SubtractOp, .. a.Bytes, .. b.Bytes, .. target.Bytes]);

    public static AmlTerm IsEqual(AmlTerm a, AmlTerm b) => new([LequalOp, .. a.Bytes, .. b.Bytes]);

    public static AmlTerm IsLess(AmlTerm a, AmlTerm b) => new([LlessOp, .. a.Bytes, .. b.Bytes]);

    public static AmlTerm LogicalAnd(AmlTerm a, AmlTerm b) => new([LandOp, .. a.Bytes, .. b.Bytes]);

    public static AmlTerm LogicalOr(AmlTerm a, AmlTerm b) => new([LorOp, .. a.Bytes, .. b.Bytes]);

    public static AmlTerm LogicalNot(AmlTerm a) => new([LnotOp, .. a.Bytes]);

    internal static AmlTerm FromBytes(byte[] bytes) => new(bytes);
}
