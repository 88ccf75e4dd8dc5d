namespace KvmSharp.Backends.Char;

/// <summary>What the user asked of the program, not of the guest, with the escape key.</summary>
public enum ConsoleCommand
{
    /// <summary><c>Ctrl-A x</c>: end the program.</summary>
    Quit,

    /// <summary><c>Ctrl-A p</c>: press the power button.</summary>
    PowerButton,

    /// <summary><c>Ctrl-A h</c>: print the keys.</summary>
    Help,
}
