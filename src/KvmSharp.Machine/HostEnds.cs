using KvmSharp.Core.HostPaths;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine;

/// <summary>
/// What the machine has open on the host: opened at first use and kept over resets, so that a disk stays locked and a network interface stays where it
/// is, and because a confined program can open nothing any more. Control thread only.
/// </summary>
internal sealed class HostEnds(MachineHost host) : IDisposable
{
    private readonly Dictionary<DeviceConfig, IDisposable> _ends = new(ReferenceEqualityComparer.Instance);
    private KvmSystem? _kvm;
    private GuestMemoryFile? _memory;

    /// <summary>What the program provides.</summary>
    public MachineHost Host => host;

    /// <inheritdoc cref="MachineHost.Paths"/>
    public IHostPaths Paths => host.Paths;

    /// <summary>The kernel and what is loaded beside it.</summary>
    public BootFiles BootFiles { get; } = new();

    /// <summary>The host's KVM; a board only borrows it.</summary>
    public KvmSystem Kvm(string device) => _kvm ??= KvmSystem.Open(device);

    /// <summary>The file behind guest memory, empty; a board only borrows it. Null for memory that has none.</summary>
    public GuestMemoryFile? MemoryFile(GuestMemoryOptions options) => options.Mergeable ? null : _memory ??= GuestMemoryFile.Create(options);

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
        BootFiles.Dispose();
        _memory?.Dispose();
        _kvm?.Dispose();
    }
}
