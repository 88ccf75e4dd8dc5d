using KvmSharp.Core.Buses;
using KvmSharp.Devices.Pci;
using static KvmSharp.Abi.Virtio.VirtioPci;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// VIRTIO_PCI_CAP_PCI_CFG (virtio 1.2 §4.1.4.9): access to the BAR through configuration space, for firmware that cannot map it.
/// Called under the PCI root's lock, which comes before the BAR's.
/// </summary>
internal sealed class VirtioPciConfigWindow : IPciConfigHook
{
    public const int CapabilityLength = 20;

    private const int DataOffset = 16;

    private PciConfigSpace? _config;
    private PciBar? _bar;
    private int _at;

    public void Place(PciConfigSpace config, PciBar bar, int at)
    {
        _config = config;
        _bar = bar;
        _at = at;
        config.Set8(at + VIRTIO_PCI_CAP_LEN, CapabilityLength);
        config.Set8(at + VIRTIO_PCI_CAP_CFG_TYPE, VIRTIO_PCI_CAP_PCI_CFG);
        config.SetWritable(at + VIRTIO_PCI_CAP_BAR, 0xff);
        config.SetWritable32(at + VIRTIO_PCI_CAP_OFFSET, uint.MaxValue);
        config.SetWritable32(at + VIRTIO_PCI_CAP_LENGTH, uint.MaxValue);
        config.SetWritable32(at + DataOffset, uint.MaxValue);
    }

    public void BeforeRead(int offset, int length)
    {
        if (!TouchesData(offset, length) || !TryGetWindow(out uint start, out int width))
            return;
        Span<byte> data = stackalloc byte[4];
        data.Clear();
        if (_bar!.Read(start, data[..width]) != BusStatus.Ok)
            data.Fill(0xff);
        for (int i = 0; i < data.Length; i++)
            _config!.Set8(_at + DataOffset + i, data[i]);
    }

    public void AfterWrite(int offset, int length)
    {
        if (!TouchesData(offset, length) || !TryGetWindow(out uint start, out int width))
            return;
        Span<byte> data = stackalloc byte[4];
        for (int i = 0; i < data.Length; i++)
            data[i] = _config!.Get8(_at + DataOffset + i);
        _ = _bar!.Write(start, data[..width]);
    }

    private bool TouchesData(int offset, int length) =>
        _config is not null && offset < _at + DataOffset + 4 && offset + length > _at + DataOffset;

    private bool TryGetWindow(out uint start, out int width)
    {
        start = _config!.Get32(_at + VIRTIO_PCI_CAP_OFFSET);
        uint length = _config.Get32(_at + VIRTIO_PCI_CAP_LENGTH);
        width = (int)Math.Min(length, 4);
        return _config.Get8(_at + VIRTIO_PCI_CAP_BAR) == _bar!.Index && length is (1 or 2 or 4) && start % length == 0;
    }
}
