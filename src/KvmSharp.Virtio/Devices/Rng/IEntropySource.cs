namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>Where virtio-rng takes its bytes from. Called on the device's I/O thread; must not block or throw.</summary>
public interface IEntropySource
{
    /// <returns>Bytes filled from the start of <paramref name="into"/>; at least one.</returns>
    int Fill(Span<byte> into);
}
