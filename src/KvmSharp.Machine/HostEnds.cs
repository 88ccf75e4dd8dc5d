using KvmSharp.Machine.Config;

namespace KvmSharp.Machine;

/// <summary>
/// What devices have open on the host, by the device's configuration: opened at first use and kept over resets, so that a disk stays
/// locked and a network interface stays where it is. Control thread only.
/// </summary>
internal sealed class HostEnds(MachineHost host) : IDisposable
{
    private readonly Dictionary<DeviceConfig, IDisposable> _ends = new(ReferenceEqualityComparer.Instance);

    /// <summary>What the program provides.</summary>
    public MachineHost Host => host;

    /// <summary>The device's host end; a board only borrows it.</summary>
    public T Get<T>(DeviceConfig device, Func<T> open)
        where T : class, IDisposable
    {
        if (!_ends.TryGetValue(device, out IDisposable? end))
            _ends.Add(device, end = open());
        return (T)end;
    }

    public void Dispose()
    {
        foreach (IDisposable end in _ends.Values)
            end.Dispose();
        _ends.Clear();
    }
}
