namespace KvmSharp.Serve.Net;

/// <summary>What is behind a port. Its queue pairs are opened once each, when the port is made; disposing of it takes the port away from there.</summary>
internal interface IPortEnd : IDisposable
{
    /// <summary>Null: frames are dropped.</summary>
    IFrameSink? OpenSink(int pair);

    /// <summary>Null: frames come from elsewhere, into the port's <see cref="ReceiveRing"/>s.</summary>
    IFrameSource? OpenSource(int pair) => null;
}
