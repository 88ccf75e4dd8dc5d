namespace KvmSharp.Backends.Char;

/// <summary>
/// Takes the escape key and the key after it out of terminal input: <c>Ctrl-A x</c> quits, <c>h</c> helps, <c>p</c> presses the power
/// button, <c>Ctrl-A Ctrl-A</c> (or <c>a</c>) is a plain Ctrl-A; any other key after it is swallowed. One thread.
/// </summary>
internal sealed class EscapeFilter(Action<ConsoleCommand> onCommand)
{
    public const byte EscapeKey = 0x01;
    private bool _escaped;

    /// <summary>Filters in place; the result is never longer. Commands are raised as they are met.</summary>
    public int Filter(Span<byte> data)
    {
        int kept = 0;
        foreach (byte key in data)
        {
            if (!_escaped)
            {
                if (key == EscapeKey)
                    _escaped = true;
                else
                    data[kept++] = key;
                continue;
            }

            _escaped = false;
            switch (key)
            {
                case EscapeKey or (byte)'a':
                    data[kept++] = EscapeKey;
                    break;
                case (byte)'x':
                    onCommand(ConsoleCommand.Quit);
                    break;
                case (byte)'p':
                    onCommand(ConsoleCommand.PowerButton);
                    break;
                case (byte)'h' or (byte)'?':
                    onCommand(ConsoleCommand.Help);
                    break;
            }
        }

        return kept;
    }
}
