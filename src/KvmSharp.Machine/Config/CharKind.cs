namespace KvmSharp.Machine.Config;

/// <summary>The host end of a character device.</summary>
public enum CharKind
{
    /// <summary>The device itself is absent.</summary>
    None,

    /// <summary>Output is thrown away, there is no input.</summary>
    Null,

    /// <summary>Standard input and output, raw on a terminal.</summary>
    Stdio,

    /// <summary>Output to a file, truncated at start.</summary>
    File,

    /// <summary>A new pseudo-terminal.</summary>
    Pty,

    /// <summary>A listening unix stream socket.</summary>
    Unix,
}
