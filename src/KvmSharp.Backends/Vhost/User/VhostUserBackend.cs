using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Abi.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// A device's data path in another process, over a unix socket (the vhost-user protocol; we are its front end). It remembers what it said:
/// while the other process is gone everything is noted only, and <see cref="TryReconnect"/> says it all again, with the region in which that process
/// keeps its requests in flight, so that none is lost. Nothing but <see cref="Connect"/> throws: a connection that fails is given up. Thread-safe.
/// </summary>
public sealed unsafe class VhostUserBackend : IVhostBackend
{
    /// <summary>Most vrings of one device.</summary>
    public const int MaxVrings = 128;

    private const VhostUserFeatures Wanted = VhostUserFeatures.MultiQueue | VhostUserFeatures.ReplyAck | VhostUserFeatures.Config | VhostUserFeatures.InflightShmFd;
    private const ulong RingPacked = 1UL << Abi.Virtio.VirtioConfig.VIRTIO_F_RING_PACKED;

    /// <summary>Offset of the index in the device area of a split virtqueue (virtio 1.2 §2.7.8).</summary>
    private const int UsedIndexOffset = 2;

    private readonly string _path;
    private readonly Lock _sync = new();
    private readonly VhostUserVring[] _vrings = [];
    private VhostUserSocket? _socket;
    private VhostUserFeatures _protocol;
    private ulong? _negotiated;
    private GuestMemory? _memory;
    private FileDescriptor? _inflight;
    private VhostUserInflight _inflightLayout;

    private VhostUserBackend(string path, VhostUserSocket socket)
    {
        _path = path;
        _socket = socket;
        Features = Greet(socket, out _protocol);
        QueueLimit = _protocol.HasFlag(VhostUserFeatures.MultiQueue) ? (int)Math.Clamp(socket.AskNumber(VhostUserRequest.GetQueueNum), 1, MaxVrings) : 1;
        _vrings = new VhostUserVring[QueueLimit];
        for (int i = 0; i < _vrings.Length; i++)
            _vrings[i] = new VhostUserVring();
    }

    /// <inheritdoc/>
    public ulong Features { get; }

    /// <summary>Most vrings that it serves; for a network interface, pairs.</summary>
    public int QueueLimit { get; }

    /// <summary>Hangs up when the other process is gone; null while it is.</summary>
    public FileDescriptor? Connection
    {
        get
        {
            lock (_sync)
                return _socket?.File;
        }
    }

    /// <summary>Connects, and asks what the back end can. Throws <see cref="BackendException"/> with one line for the user.</summary>
    public static VhostUserBackend Connect(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) is 0 or > 107)
            throw new BackendException($"cannot connect to {path}: a socket path has 1 to 107 bytes");
        VhostUserSocket? socket = null;
        try
        {
            socket = VhostUserSocket.Connect(path);
            return new VhostUserBackend(path, socket);
        }
        catch (LinuxException error)
        {
            socket?.Dispose();
            throw new BackendException(error.Errno switch
            {
                LibcConstants.ENOENT or LibcConstants.ECONNREFUSED => $"nothing listens on {path}: start the vhost-user back end first",
                LibcConstants.ETIMEDOUT => $"what listens on {path} does not answer within {VhostUserSocket.TimeoutSeconds} s: is it a vhost-user back end?",
                LibcConstants.EPROTO or LibcConstants.ECONNRESET => $"what listens on {path} does not speak vhost-user as a back end does ({error.Message})",
                _ => error.Message,
            }, error);
        }
    }

    /// <summary>Device configuration from its start. False if it has none, or is gone.</summary>
    public bool TryReadConfig(Span<byte> into)
    {
        const int Head = 12;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(into.Length, MaxPayloadBytes - Head);
        if (!_protocol.HasFlag(VhostUserFeatures.Config))
            return false;
        Span<byte> payload = stackalloc byte[MaxPayloadBytes];
        payload = payload[..(Head + into.Length)];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], (uint)into.Length);
        Span<byte> answer = stackalloc byte[MaxPayloadBytes];
        answer = answer[..payload.Length];
        lock (_sync)
        {
            if (_socket is null)
                return false;
            try
            {
                _socket.Ask(VhostUserRequest.GetConfig, payload, answer, out FileDescriptor? descriptor);
                descriptor?.Dispose();
            }
            catch (LinuxException)
            {
                Abandon();
                return false;
            }
        }

        answer[Head..].CopyTo(into);
        return true;
    }

    /// <summary>What the driver writes to device configuration. Lost if the back end has none.</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        const int Head = 12;
        if (!_protocol.HasFlag(VhostUserFeatures.Config) || data.Length > MaxPayloadBytes - Head)
            return;
        Span<byte> payload = stackalloc byte[Head + data.Length];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload, offset);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], (uint)data.Length);
        data.CopyTo(payload[Head..]);
        lock (_sync)
            Say(VhostUserRequest.SetConfig, payload);
    }

    /// <inheritdoc/>
    public void SetFeatures(ulong features)
    {
        lock (_sync)
        {
            _negotiated = features;
            SayFeatures(features);
        }
    }

    /// <inheritdoc/>
    public void SetMemory(GuestMemory memory)
    {
        lock (_sync)
        {
            _memory = memory;
            SayMemory(memory);
        }
    }

    /// <inheritdoc/>
    public void SetVringSize(int vring, ushort size) => _vrings[vring].Size = size;

    /// <inheritdoc/>
    public void SetVringBase(int vring, uint position) => _vrings[vring].Position = position;

    /// <inheritdoc/>
    public void SetVringAreas(int vring, in VhostAreas areas) => _vrings[vring].Areas = areas;

    /// <inheritdoc/>
    public void SetVringKick(int vring, EventFd kick) => _vrings[vring].Kick = kick;

    /// <inheritdoc/>
    public void SetVringError(int vring, EventFd error) => _vrings[vring].Error = error;

    /// <inheritdoc/>
    public void SetVringCall(int vring, EventFd call)
    {
        lock (_sync)
        {
            _vrings[vring].Call = call;
            if (_vrings[vring].Told)
                SayDescriptor(VhostUserRequest.SetVringCall, vring, call);
        }
    }

    /// <inheritdoc/>
    public void StartVring(int vring)
    {
        lock (_sync)
        {
            _vrings[vring].Running = true;
            _vrings[vring].Begun = false;
            SayInflight(_vrings[vring].Size);
            SayVring(vring);
        }
    }

    /// <inheritdoc/>
    public bool TryStopVring(int vring, out uint position)
    {
        lock (_sync)
        {
            VhostUserVring state = _vrings[vring];
            position = state.Position;
            bool known = state.Running && (!state.Begun || (state.Told && TryAskPosition(vring, out position)) || TryReadUsedIndex(state, out position));
            (state.Running, state.Told) = (false, false);
            (state.Kick, state.Call, state.Error) = (null, null, null);
            return known;
        }
    }

    /// <summary>After <see cref="Connection"/> hung up: from now on everything is noted only.</summary>
    public void GiveUp()
    {
        lock (_sync)
            Abandon();
    }

    /// <summary>
    /// After <see cref="GiveUp"/>: looks for the next process behind the socket, which is told everything again.
    /// A packed vring that the last one had begun is left out: nobody else knows where it stands, so its driver has to start it anew.
    /// False: there is none, or one that can less.
    /// </summary>
    public bool TryReconnect()
    {
        lock (_sync)
        {
            Abandon();
            try
            {
                VhostUserSocket socket = VhostUserSocket.Connect(_path);
                _socket = socket;
                if ((Greet(socket, out VhostUserFeatures protocol) & Features) != Features || (protocol & _protocol) != _protocol)
                {
                    Abandon();
                    return false;
                }

                Resume();
            }
            catch (LinuxException)
            {
                Abandon();
            }

            return _socket is not null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_sync)
        {
            Abandon();
            _inflight?.Dispose();
            _inflight = null;
        }
    }

    /// <summary>The first words of a connection; the virtio features of whoever listens.</summary>
    private static ulong Greet(VhostUserSocket socket, out VhostUserFeatures protocol)
    {
        ulong features = socket.AskNumber(VhostUserRequest.GetFeatures);
        protocol = VhostUserFeatures.None;
        if ((features & HasProtocolFeatures) != 0)
        {
            protocol = (VhostUserFeatures)socket.AskNumber(VhostUserRequest.GetProtocolFeatures) & Wanted;
            SayNumber(socket, VhostUserRequest.SetProtocolFeatures, (ulong)protocol);
        }

        socket.Send(VhostUserRequest.SetOwner, default);
        return features;
    }

    private static void SayNumber(VhostUserSocket socket, VhostUserRequest request, ulong number)
    {
        Span<byte> payload = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, number);
        socket.Send(request, payload);
    }

    /// <summary>Everything that the back end before this one knew.</summary>
    private void Resume()
    {
        if (_negotiated is { } features)
            SayFeatures(features);
        if (_memory is { } memory)
            SayMemory(memory);
        bool told = false;
        for (int i = 0; i < _vrings.Length; i++)
        {
            VhostUserVring vring = _vrings[i];
            if (!vring.Running)
                continue;
            if (vring.Begun)
            {
                if (!TryReadUsedIndex(vring, out uint position))
                    continue;
                vring.Position = position;
            }

            if (!told)
                SayInflight(vring.Size);
            told = true;
            SayVring(i);
        }
    }

    private void SayFeatures(ulong features)
    {
        Span<byte> payload = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, features | (Features & HasProtocolFeatures));
        Say(VhostUserRequest.SetFeatures, payload);
    }

    private void SayMemory(GuestMemory memory)
    {
        ReadOnlySpan<GuestMemoryRegion> regions = memory.Regions;
        Span<byte> payload = stackalloc byte[2 * sizeof(uint) + regions.Length * RegionBytes];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)regions.Length);
        Span<int> descriptors = stackalloc int[regions.Length];
        for (int i = 0; i < regions.Length; i++)
        {
            Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(payload.Slice(2 * sizeof(uint) + i * RegionBytes, RegionBytes));
            words[0] = regions[i].Start.Value;
            words[1] = regions[i].SizeBytes;
            words[2] = (ulong)regions[i].Host;
            words[3] = regions[i].FileOffset;
            descriptors[i] = memory.File.Value;
        }

        Say(VhostUserRequest.SetMemTable, payload, descriptors, acknowledged: true);
    }

    /// <summary>Before the first vring runs: the region that outlives the process in which it keeps what it has in flight.</summary>
    private void SayInflight(ushort queueSize)
    {
        if (_socket is null || !_protocol.HasFlag(VhostUserFeatures.InflightShmFd))
            return;
        Span<byte> payload = stackalloc byte[sizeof(VhostUserInflight)];
        payload.Clear();
        VhostUserInflight layout = new() { Queues = (ushort)_vrings.Length, QueueSize = queueSize };
        if (_inflight is not null && (_inflightLayout.Queues, _inflightLayout.QueueSize) != (layout.Queues, layout.QueueSize))
            ForgetInflight();
        try
        {
            if (_inflight is null)
            {
                MemoryMarshal.Write(payload, layout);
                _socket.Ask(VhostUserRequest.GetInflightFd, payload, payload, out _inflight);
                _inflightLayout = MemoryMarshal.Read<VhostUserInflight>(payload);
                (_inflightLayout.Queues, _inflightLayout.QueueSize) = (layout.Queues, layout.QueueSize);
            }

            if (_inflight is null)
                throw new LinuxException($"{_path}: no region came for requests in flight", LibcConstants.EPROTO);
        }
        catch (LinuxException)
        {
            Abandon();
            return;
        }

        MemoryMarshal.Write(payload, _inflightLayout);
        Say(VhostUserRequest.SetInflightFd, payload, [_inflight.Value]);
    }

    private void ForgetInflight()
    {
        _inflight?.Dispose();
        _inflight = null;
    }

    private void SayVring(int vring)
    {
        VhostUserVring state = _vrings[vring];
        if (_socket is null)
            return;
        state.Begun = true;
        SayState(VhostUserRequest.SetVringNum, vring, state.Size);
        SayState(VhostUserRequest.SetVringBase, vring, state.Position);
        vhost_vring_addr addresses = new()
        {
            index = (uint)vring,
            desc_user_addr = (ulong)state.Areas.Descriptor.Host,
            avail_user_addr = (ulong)state.Areas.Driver.Host,
            used_user_addr = (ulong)state.Areas.Device.Host,
        };
        Say(VhostUserRequest.SetVringAddr, MemoryMarshal.AsBytes(new ReadOnlySpan<vhost_vring_addr>(in addresses)));
        SayDescriptor(VhostUserRequest.SetVringErr, vring, state.Error);
        SayDescriptor(VhostUserRequest.SetVringCall, vring, state.Call);
        SayDescriptor(VhostUserRequest.SetVringKick, vring, state.Kick);
        if ((Features & HasProtocolFeatures) != 0)
            SayState(VhostUserRequest.SetVringEnable, vring, 1, acknowledged: true);
        state.Told = _socket is not null;
        // What the driver announced to nobody; a kick too many does no harm.
        state.Kick?.Signal();
    }

    private void SayState(VhostUserRequest request, int vring, uint value, bool acknowledged = false)
    {
        vhost_vring_state state = new() { index = (uint)vring, num = value };
        Say(request, MemoryMarshal.AsBytes(new ReadOnlySpan<vhost_vring_state>(in state)), default, acknowledged);
    }

    private void SayDescriptor(VhostUserRequest request, int vring, EventFd? descriptor)
    {
        ulong word = (uint)vring | (descriptor is null ? NoDescriptor : 0);
        Say(request, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in word)), descriptor is null ? default : [descriptor.Value]);
    }

    /// <summary>Says it if there is somebody who listens; the caller has noted it for the next one.</summary>
    private void Say(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default, bool acknowledged = false)
    {
        if (_socket is null)
            return;
        try
        {
            if (acknowledged && _protocol.HasFlag(VhostUserFeatures.ReplyAck))
                _socket.SendAcknowledged(request, payload, descriptors);
            else
                _socket.Send(request, payload, descriptors);
        }
        catch (LinuxException)
        {
            Abandon();
        }
    }

    private bool TryAskPosition(int vring, out uint position)
    {
        position = 0;
        if (_socket is null)
            return false;
        vhost_vring_state state = new() { index = (uint)vring };
        vhost_vring_state answer = default;
        try
        {
            _socket.Ask(VhostUserRequest.GetVringBase, MemoryMarshal.AsBytes(new ReadOnlySpan<vhost_vring_state>(in state)),
                MemoryMarshal.AsBytes(new Span<vhost_vring_state>(ref answer)), out FileDescriptor? descriptor);
            descriptor?.Dispose();
        }
        catch (LinuxException)
        {
            Abandon();
            return false;
        }

        position = answer.num;
        return answer.index == (uint)vring;
    }

    /// <summary>Where a split vring stands for somebody who has only the ring: behind the last chain that was given back.</summary>
    private bool TryReadUsedIndex(VhostUserVring vring, out uint position)
    {
        position = 0;
        if (_negotiated is not { } features || (features & RingPacked) != 0 || _memory is null ||
            !_memory.TryRead(new GuestAddress(vring.Areas.Device.Guest.Value + UsedIndexOffset), out ushort used))
            return false;
        position = used;
        return true;
    }

    /// <summary>Whoever watches the connection sees that it hung up, also if it was we who did.</summary>
    private void Abandon()
    {
        _socket?.HangUp();
        _socket?.Dispose();
        _socket = null;
        Array.ForEach(_vrings, vring => vring.Told = false);
    }
}
