using System.Runtime.InteropServices;
using static KvmSharp.Machine.Acpi.AmlEncoding;

namespace KvmSharp.Machine.Acpi;

/// <summary>
/// Writes AML. Blocks (<see cref="Scope"/>, <see cref="Device"/>, <see cref="Method"/>, <see cref="If"/>, <see cref="Else"/>) are
/// closed by disposing what they return; their lengths are filled in then. Machine-building code only: it allocates freely.
/// </summary>
public sealed class AmlWriter
{
    private readonly List<byte> _bytes = [];

    internal ReadOnlySpan<byte> Bytes => CollectionsMarshal.AsSpan(_bytes);

    /// <summary><c>Name (name, value)</c>.</summary>
    public void Name(string name, AmlTerm value)
    {
        _bytes.Add(NameOp);
        _bytes.AddRange(NameString(name));
        _bytes.AddRange(value.Bytes);
    }

    /// <summary><c>Scope (name) { … }</c>.</summary>
    public Block Scope(string name) => Open([ScopeOp], NameString(name));

    /// <summary><c>Device (name) { … }</c>.</summary>
    public Block Device(string name) => Open([ExtPrefix, DeviceOp], NameString(name));

    /// <summary><c>Method (name, arguments) { … }</c>. A method that creates named objects must be serialized.</summary>
    public Block Method(string name, int arguments, bool serialized = false) =>
        Open([MethodOp], [.. NameString(name), (byte)((arguments & 7) | (serialized ? 8 : 0))]);

    public Block If(AmlTerm predicate) => Open([IfOp], predicate.Bytes);

    /// <summary>Follows the block of an <see cref="If"/> at once.</summary>
    public Block Else() => Open([ElseOp], []);

    /// <summary>An expression for its effect, such as an operator with a target.</summary>
    public void Evaluate(AmlTerm expression) => _bytes.AddRange(expression.Bytes);

    public void Return(AmlTerm value)
    {
        _bytes.Add(ReturnOp);
        _bytes.AddRange(value.Bytes);
    }

    /// <summary><c>target = value</c>; the target is a Local, an Arg or a name.</summary>
    public void Store(AmlTerm value, AmlTerm target)
    {
        _bytes.Add(StoreOp);
        _bytes.AddRange(value.Bytes);
        _bytes.AddRange(target.Bytes);
    }

    /// <summary><c>Notify (object, value)</c>.</summary>
    public void Notify(string name, AmlTerm value)
    {
        _bytes.Add(NotifyOp);
        _bytes.AddRange(NameString(name));
        _bytes.AddRange(value.Bytes);
    }

    /// <summary><c>CreateDWordField (source, offsetBytes, name)</c>.</summary>
    public void CreateDWordField(AmlTerm source, uint offsetBytes, string name)
    {
        _bytes.Add(CreateDWordFieldOp);
        _bytes.AddRange(source.Bytes);
        _bytes.AddRange(AmlTerm.Integer(offsetBytes).Bytes);
        _bytes.AddRange(NameString(name));
    }

    /// <summary><c>OperationRegion (name, SystemMemory or SystemIO, address, length)</c>.</summary>
    public void Region(string name, bool systemIo, ulong address, ulong length)
    {
        _bytes.AddRange([ExtPrefix, RegionOp]);
        _bytes.AddRange(NameString(name));
        _bytes.Add(systemIo ? (byte)1 : (byte)0);
        _bytes.AddRange(AmlTerm.Integer(address).Bytes);
        _bytes.AddRange(AmlTerm.Integer(length).Bytes);
    }

    /// <summary><c>Field (region, access, NoLock, Preserve)</c> with consecutive named fields of <paramref name="accessBits"/> each (8, 16, 32 or 64).</summary>
    public void Fields(string region, int accessBits, params ReadOnlySpan<string> names)
    {
        byte access = accessBits switch { 8 => 1, 16 => 2, 32 => 3, 64 => 4, _ => throw new ArgumentOutOfRangeException(nameof(accessBits)) };
        using Block block = Open([ExtPrefix, FieldOp], [.. NameString(region), access]);
        foreach (string name in names)
        {
            _bytes.AddRange(NameString(name));
            _bytes.AddRange(accessBits < 64 ? [(byte)accessBits] : new byte[] { 0x40, 4 }); // a bit count, encoded like a PkgLength
        }
    }

    private Block Open(ReadOnlySpan<byte> op, ReadOnlySpan<byte> head)
    {
        _bytes.AddRange(op);
        Block block = new(this, _bytes.Count);
        _bytes.AddRange(head);
        return block;
    }

    private void Close(int start) => _bytes.InsertRange(start, PackageLength(_bytes.Count - start));

    /// <summary>An open block; disposing closes it. Blocks close innermost first.</summary>
    public readonly struct Block : IDisposable
    {
        private readonly AmlWriter _writer;
        private readonly int _start;

        internal Block(AmlWriter writer, int start)
        {
            _writer = writer;
            _start = start;
        }

        public void Dispose() => _writer.Close(_start);
    }
}
