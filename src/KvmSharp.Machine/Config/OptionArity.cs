namespace KvmSharp.Machine.Config;

/// <summary>How often an option may be given and whether it takes a value.</summary>
public enum OptionArity
{
    /// <summary>No value; in a file <c>true</c> or <c>false</c>.</summary>
    Flag,

    /// <summary>Once, with or without a value.</summary>
    Optional,

    /// <summary>Once, with a value.</summary>
    Single,

    /// <summary>Any number of times; in a file a list.</summary>
    Repeatable,
}
