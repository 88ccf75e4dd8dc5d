namespace KvmSharp.Serve.Net;

/// <summary>What passed in one direction of a queue. One thread adds at a time, any thread reads.</summary>
internal sealed class PortCounters
{
    private long _frames;
    private long _bytes;
    private long _lost;

    public long Frames => Volatile.Read(ref _frames);

    /// <summary>Of frames, without headers of virtio.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>Frames that came to nothing: too short or too long, or nowhere to put them.</summary>
    public long Lost => Volatile.Read(ref _lost);

    public void Add(int frames, long bytes)
    {
        Volatile.Write(ref _frames, _frames + frames);
        Volatile.Write(ref _bytes, _bytes + bytes);
    }

    public void AddLost(int frames) => Volatile.Write(ref _lost, _lost + frames);
}
