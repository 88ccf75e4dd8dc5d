using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.TestKit.Fakes;

/// <summary>Doorbells without KVM: <see cref="Ring"/> does what the kernel does with a guest's write.</summary>
public sealed class FakeDoorbellFabric : IDoorbellFabric
{
    private readonly Lock _sync = new();
    private readonly List<Doorbell> _doorbells = [];

    public int Count
    {
        get
        {
            lock (_sync)
                return _doorbells.Count;
        }
    }

    public IDisposable RegisterMmio(ulong address, uint length, ulong? match, EventFd kick) => Add(new Doorbell(this, false, address, length, match, kick));

    public IDisposable RegisterPio(ushort port, uint length, ulong? match, EventFd kick) => Add(new Doorbell(this, true, port, length, match, kick));

    /// <summary>A guest write; false if no doorbell takes it and it would be an exit.</summary>
    public bool Ring(ulong address, uint length, ulong value)
    {
        lock (_sync)
        {
            Doorbell? hit = _doorbells.Find(d => !d.Pio && d.Address == address && (d.Length == 0 || d.Length == length) && (d.Match is null || d.Match == value));
            hit?.Kick.Signal();
            return hit is not null;
        }
    }

    private Doorbell Add(Doorbell doorbell)
    {
        lock (_sync)
            _doorbells.Add(doorbell);
        return doorbell;
    }

    private sealed record Doorbell(FakeDoorbellFabric Owner, bool Pio, ulong Address, uint Length, ulong? Match, EventFd Kick) : IDisposable
    {
        public void Dispose()
        {
            lock (Owner._sync)
                Owner._doorbells.RemoveAll(other => ReferenceEquals(other, this));
        }
    }
}
