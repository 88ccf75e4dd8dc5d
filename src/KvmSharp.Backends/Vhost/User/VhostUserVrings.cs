using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>Some vrings of a back end that serves more over the same connection, counted from 0. Borrows it.</summary>
/// <param name="backend">Whose vrings they are.</param>
/// <param name="first">Its number of the first of them.</param>
public sealed class VhostUserVrings(VhostUserBackend backend, int first) : IVhostBackend
{
    /// <inheritdoc/>
    public ulong Features => backend.Features;

    /// <summary>What is said of the device is said with its first vrings, once.</summary>
    private bool SpeaksForAll => first == 0;

    /// <inheritdoc/>
    public void SetFeatures(ulong features)
    {
        if (SpeaksForAll)
            backend.SetFeatures(features);
    }

    /// <inheritdoc/>
    public void SetMemory(GuestMemory memory)
    {
        if (SpeaksForAll)
            backend.SetMemory(memory);
    }

    /// <inheritdoc/>
    public void SetVringSize(int vring, ushort size) => backend.SetVringSize(first + vring, size);

    /// <inheritdoc/>
    public void SetVringBase(int vring, uint position) => backend.SetVringBase(first + vring, position);

    /// <inheritdoc/>
    public void SetVringAreas(int vring, in VhostAreas areas) => backend.SetVringAreas(first + vring, areas);

    /// <inheritdoc/>
    public void SetVringKick(int vring, EventFd kick) => backend.SetVringKick(first + vring, kick);

    /// <inheritdoc/>
    public void SetVringCall(int vring, EventFd call) => backend.SetVringCall(first + vring, call);

    /// <inheritdoc/>
    public void SetVringError(int vring, EventFd error) => backend.SetVringError(first + vring, error);

    /// <inheritdoc/>
    public void ForgetVring(int vring) => backend.ForgetVring(first + vring);

    /// <inheritdoc/>
    public void StartVring(int vring) => backend.StartVring(first + vring);

    /// <inheritdoc/>
    public bool TryEnableVring(int vring, bool enabled) => backend.TryEnableVring(first + vring, enabled);

    /// <inheritdoc/>
    public bool TryStopVring(int vring, out uint position) => backend.TryStopVring(first + vring, out position);

    /// <summary>Nothing: the connection is the others' too.</summary>
    public void Dispose()
    {
    }
}
