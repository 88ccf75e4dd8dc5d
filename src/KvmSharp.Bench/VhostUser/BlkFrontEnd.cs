using System.Buffers.Binary;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Bench.VhostUser;

/// <summary>One disk behind a socket, its vring running and filled.</summary>
internal sealed class BlkFrontEnd : IDisposable
{
    private const ulong MemoryBytes = 16 << 20;
    private const ulong Version1 = 1UL << Abi.Virtio.VirtioConfig.VIRTIO_F_VERSION_1, EventIdx = 1UL << Abi.Virtio.VirtioRing.VIRTIO_RING_F_EVENT_IDX;

    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = MemoryBytes });
    private readonly EventFd _kick = new(), _call = new(), _error = new();
    private readonly VhostUserBackend _backend;

    public BlkFrontEnd(string socket, int depth, bool write)
    {
        _backend = VhostUserBackend.Connect(socket, VhostUserOptions.Disk(BlkDriver.RingSize));
        byte[] capacity = new byte[sizeof(ulong)];
        if (!_backend.TryReadConfig(capacity))
            throw new BenchException($"{socket}: its back end says nothing of a disk");
        _backend.SetFeatures(_backend.Features & (Version1 | EventIdx));
        _backend.SetMemory(_memory);
        Driver = new BlkDriver(_memory, _kick, depth, write, BinaryPrimitives.ReadUInt64LittleEndian(capacity));
        _backend.SetVringSize(0, BlkDriver.RingSize);
        _backend.SetVringBase(0, 0);
        _backend.SetVringAreas(0, Driver.Areas);
        _backend.SetVringKick(0, _kick);
        _backend.SetVringCall(0, _call);
        _backend.SetVringError(0, _error);
        _backend.StartVring(0);
        Driver.Fill();
    }

    public BlkDriver Driver { get; }

    public void Dispose()
    {
        _ = _backend.TryStopVring(0, out _);
        _backend.Dispose();
        _kick.Dispose();
        _call.Dispose();
        _error.Dispose();
        _memory.Dispose();
    }
}
