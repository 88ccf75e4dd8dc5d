namespace KvmSharp.Fuzz.Engine;

/// <summary>A promise that the code under test did not keep.</summary>
internal sealed class FuzzFailure : Exception
{
    public FuzzFailure(string message)
        : base(message)
    {
    }

    public FuzzFailure(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>A busy host can be the cause as well: it counts only if it comes again.</summary>
    internal bool DependsOnTheHost { get; init; }

    internal static void Unless(bool kept, string promise)
    {
        if (!kept)
            throw new FuzzFailure(promise);
    }
}
