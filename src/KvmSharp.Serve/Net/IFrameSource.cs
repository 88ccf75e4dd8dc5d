namespace KvmSharp.Serve.Net;

/// <summary>Makes frames for the driver of one queue pair, on that pair's thread; nothing allocates, blocks or throws.</summary>
internal interface IFrameSource
{
    /// <summary>Puts a bounded number of frames into the ring. False: it has room for no more.</summary>
    bool Fill(ReceiveRing ring);
}
