namespace KvmSharp.Virtio.Transport;

/// <summary>What makes a device reachable for its driver, and owns it. Control thread.</summary>
public interface IVirtioTransport : IDisposable
{
    /// <summary>Stops serving the queues until <see cref="Resume"/>; vCPUs are paused. Drains what is in flight.</summary>
    void Pause();

    /// <summary>Goes on after <see cref="Pause"/>, before the vCPUs do.</summary>
    void Resume();
}
