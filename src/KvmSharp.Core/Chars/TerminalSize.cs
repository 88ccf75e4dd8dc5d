namespace KvmSharp.Core.Chars;

/// <summary>A terminal's size in characters; 0 by 0 when it is not known.</summary>
public readonly record struct TerminalSize(ushort Columns, ushort Rows);
