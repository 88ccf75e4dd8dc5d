using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Net;

/// <summary>Where the frames go that the driver of one queue pair sends. Used on that pair's thread; nothing allocates, blocks or throws.</summary>
internal interface IFrameSink
{
    /// <summary>
    /// One frame; its segments begin with a <c>virtio_net_hdr_v1</c>, in which nothing was agreed to. The driver may change all of it at any moment.
    /// </summary>
    /// <param name="segments">Valid during the call.</param>
    /// <param name="bytes">Of the frame, without the header; <see cref="NetFrame.MinBytes"/> to <see cref="NetFrame.MaxBytes"/>.</param>
    void Take(ReadOnlySpan<IoVec> segments, uint bytes);

    /// <summary>Some frames were taken; it may be long until the next.</summary>
    void EndBurst();
}
