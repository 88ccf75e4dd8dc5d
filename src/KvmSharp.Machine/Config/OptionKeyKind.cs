namespace KvmSharp.Machine.Config;

/// <summary>What the value of a key is.</summary>
public enum OptionKeyKind
{
    Text,

    /// <summary>Bytes: a number, or text such as 512M.</summary>
    Size,

    Integer,

    /// <summary>Words with colons between them; in a file also a number or a list.</summary>
    List,

    Boolean,

    /// <summary>One of the key's choices.</summary>
    Choice,

    /// <summary>An I/O port: a number, or text such as 0xf4.</summary>
    Port,

    /// <summary>Seconds as a number, or text such as 10s or 500ms.</summary>
    Duration,

    /// <summary>The host end of a character device, <c>stdio</c>, <c>file:PATH</c> and so on.</summary>
    Char,

    /// <summary>CPU features, each with + or -.</summary>
    Features,
}
