using System.Text;

namespace KvmSharp.Core.Tracing;

/// <summary>
/// A name that records can carry as a number. Names come from the program and its configuration, never from the guest, and are kept for the
/// life of the process. The default is no name.
/// </summary>
public readonly struct TraceName
{
    /// <summary>Longer texts are cut.</summary>
    private const int MaxLength = 128;

    /// <summary>Most bytes of <see cref="Text"/>.</summary>
    internal const int MaxBytes = 3 * MaxLength;

    private readonly ushort _number;

    private TraceName(ushort number) => _number = number;

    internal bool IsNone => _number == 0;

    /// <summary>UTF-8; empty for no name.</summary>
    internal ReadOnlySpan<byte> Text => Table.TextOf(_number);

    /// <summary>The name of this text; no name when there are 65535 others already. Any thread; not for hot paths.</summary>
    public static TraceName Of(string text) => new(Table.NumberOf(text.Length <= MaxLength ? text : text[..MaxLength]));

    private static class Table
    {
        private static readonly Lock s_gate = new();
        private static readonly Dictionary<string, ushort> s_numbers = new(StringComparer.Ordinal);
        private static byte[][] s_texts = [[]];

        public static ReadOnlySpan<byte> TextOf(ushort number) => Volatile.Read(ref s_texts)[number];

        public static ushort NumberOf(string text)
        {
            lock (s_gate)
            {
                if (s_numbers.TryGetValue(text, out ushort number))
                    return number;
                if (s_texts.Length > ushort.MaxValue)
                    return 0;
                number = (ushort)s_texts.Length;
                Volatile.Write(ref s_texts, [.. s_texts, Encoding.UTF8.GetBytes(text)]);
                s_numbers.Add(text, number);
                return number;
            }
        }
    }
}
