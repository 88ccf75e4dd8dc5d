using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>Output vanishes, there is no input.</summary>
public sealed class NullBackend : ICharBackend
{
    public void Start(ICharFrontend frontend)
    {
    }

    public void Write(ReadOnlySpan<byte> data)
    {
    }

    public void OnFrontendReady()
    {
    }

    public void Dispose()
    {
    }
}
