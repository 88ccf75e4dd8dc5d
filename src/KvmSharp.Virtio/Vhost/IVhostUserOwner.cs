namespace KvmSharp.Virtio.Vhost;

/// <summary>A device that wants to know what becomes of the other process that serves it. Loop thread.</summary>
internal interface IVhostUserOwner
{
    /// <summary>It is gone; the link looks for the next one.</summary>
    void OnLost();

    /// <summary>There is another one, and it goes on where the last one stopped.</summary>
    void OnReturned();

    /// <summary>It says that device configuration is not what it was.</summary>
    void OnConfigChanged();
}
