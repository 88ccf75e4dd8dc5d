namespace KvmSharp.Serve.Net;

/// <summary>Nothing is behind the port: what the driver sends is dropped unread, and frames of one size are made for it, if one is given.</summary>
/// <param name="generatedBytes">Length of the frames; null: none.</param>
internal sealed class NullEnd(uint? generatedBytes) : IPortEnd
{
    public IFrameSink? OpenSink(int pair) => null;

    public IFrameSource? OpenSource(int pair) => generatedBytes is { } bytes ? new FrameGenerator(bytes) : null;

    public void Dispose()
    {
    }
}
