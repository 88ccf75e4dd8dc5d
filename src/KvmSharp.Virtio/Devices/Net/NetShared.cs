using KvmSharp.Backends.Net;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>What the queues of one device share. The control queue and the transport write, everybody reads.</summary>
internal sealed class NetShared(INetBackend backend, MacAddress mac)
{
    private NetFilter _filter = new() { Mac = mac.Value };

    public INetBackend Backend => backend;

    public MacAddress PermanentMac => mac;

    public NetFilter Filter
    {
        get => Volatile.Read(ref _filter);
        set => Volatile.Write(ref _filter, value);
    }

    /// <summary>Back to power-on; with <paramref name="filterVlans"/> no VLAN passes until the driver adds it.</summary>
    public void Reset(bool filterVlans) => Filter = new NetFilter { Mac = mac.Value, Vlans = filterVlans ? new ulong[64] : null };
}
