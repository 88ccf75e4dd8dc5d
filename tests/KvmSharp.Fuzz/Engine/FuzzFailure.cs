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

    internal static void Unless(bool kept, string promise)
    {
        if (!kept)
            throw new FuzzFailure(promise);
    }
}
