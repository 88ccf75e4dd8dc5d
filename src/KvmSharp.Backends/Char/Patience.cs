namespace KvmSharp.Backends.Char;

/// <summary>
/// With a call that a host lets in vain: a descriptor that is said to be ready and gives nothing, or is refused. What it refuses stays pending, so asking on would be
/// a loop; after some tries in a row the call rests for a while. One thread.
/// </summary>
internal struct Patience
{
    /// <summary>How long a call rests.</summary>
    public const int RestMs = 100;

    /// <summary>Tries in vain, in a row, after which it does.</summary>
    private const int MaxTries = 16;

    private int _tries;

    /// <summary>Not to be tried before <see cref="Wake"/>.</summary>
    public bool Rests { get; private set; }

    public void Worked() => _tries = 0;

    /// <summary>It gave nothing.</summary>
    public void InVain()
    {
        _tries = Math.Min(_tries + 1, MaxTries);
        Rests = _tries == MaxTries;
    }

    /// <summary>The host cannot at the moment.</summary>
    public void Refused() => Rests = true;

    /// <summary>Time for another try.</summary>
    public void Wake() => Rests = false;
}
