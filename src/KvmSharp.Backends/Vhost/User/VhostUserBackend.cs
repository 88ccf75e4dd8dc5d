using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// A device's data path in another process, over a unix socket (the vhost-user protocol; we are its front end). It remembers what it said:
/// while the other process is gone everything is noted only, and <see cref="TryReconnect"/> says it all again, with the region in which that process
/// keeps its requests in flight, so that none is lost. Nothing but <see cref="Connect"/> and <see cref="Accept"/> throws: a connection that fails is given up. Thread-safe.
/// </summary>
public sealed class VhostUserBackend : IVhostBackend
{
    /// <summary>Most vrings of one device.</summary>
    public const int MaxVrings = 128;

    private const ulong RingPacked = 1UL << VirtioConfig.VIRTIO_F_RING_PACKED;

    /// <summary>Offset of the index in the device area of a split virtqueue (virtio 1.2 §2.7.8).</summary>
    private const int UsedIndexOffset = 2;

    private const int MacBytes = 6;

    // wiring
    private readonly VhostUserEndpoint _endpoint;
    private readonly VhostUserOptions _options;
    private readonly Lock _sync = new();

    // What the first back end had; those after it must have it too.
    private readonly VhostUserFeatures _protocol;

    // noted for the next one
    private readonly VhostUserVring[] _vrings = [];
    private byte[] _config = [];
    private ulong? _negotiated;
    private GuestMemory? _memory;
    private VhostUserInflightRegion? _inflight;
    private VhostUserLog? _log;

    // of this connection
    private VhostUserSession? _session;
    private bool _inflightTold;
    private byte _status;

    /// <summary>Takes both over; if it throws, only the session.</summary>
    private VhostUserBackend(VhostUserEndpoint endpoint, VhostUserOptions options, VhostUserSession session)
    {
        _endpoint = endpoint;
        _options = options;
        try
        {
            Introduce(session);
            Features = session.Features;
            _protocol = session.Protocol;
            QueueLimit = session.Has(VhostUserFeatures.MultiQueue)
                ? (int)Math.Clamp(session.AskNumber(VhostUserRequest.GetQueueNum), 1, (ulong)(MaxVrings / options.VringsPerQueue))
                : 1;
            _vrings = new VhostUserVring[QueueLimit * options.VringsPerQueue];
            for (int i = 0; i < _vrings.Length; i++)
                _vrings[i] = new VhostUserVring();
        }
        catch
        {
            Abandon();
            throw;
        }
    }

    /// <inheritdoc/>
    public ulong Features { get; }

    /// <summary>Most queues that it serves; for a network interface, pairs.</summary>
    public int QueueLimit { get; }

    /// <summary>Hangs up when the other process is gone; null while it is.</summary>
    public FileDescriptor? Connection
    {
        get
        {
            lock (_sync)
                return _session?.File;
        }
    }

    /// <summary>Where the other process may ask something; null while it is gone, and if it has no use for it.</summary>
    public VhostUserChannel? Channel { get; private set; }

    /// <summary>With the other process it is lost where vrings stand: their driver has to start them anew.</summary>
    public bool LosesPositions
    {
        get
        {
            lock (_sync)
                return _negotiated is { } features && (features & RingPacked) != 0 && Array.Exists(_vrings, vring => vring is { Running: true, Begun: true } && !TryRecover(vring, out _));
        }
    }

    /// <summary>Connects, and asks what the back end can. Throws <see cref="BackendException"/> with one line for the user.</summary>
    /// <param name="path">Of a unix socket on which it listens.</param>
    /// <param name="options">What it is to serve.</param>
    /// <param name="paths">Who connects to it; null: this program itself.</param>
    public static VhostUserBackend Connect(string path, VhostUserOptions options, IHostPaths? paths = null)
    {
        VhostUserEndpoint endpoint = VhostUserEndpoint.Connecting(path, paths ?? OwnPaths.Instance);
        try
        {
            return new VhostUserBackend(endpoint, options, new VhostUserSession(endpoint.Open(), options.Wanted));
        }
        catch (LinuxException error)
        {
            endpoint.Dispose();
            throw new BackendException(Explain(path, error), error);
        }
    }

    /// <summary>
    /// Listens, and waits for a back end that connects; those after it may do so too. Throws <see cref="BackendException"/> if it cannot listen there,
    /// <see cref="OperationCanceledException"/>.
    /// </summary>
    /// <param name="path">Of a unix socket that is made, and removed at the end.</param>
    /// <param name="options">What the back end is to serve.</param>
    /// <param name="report">Told what it waits for, and of whoever connected and was no back end.</param>
    /// <param name="paths">Who removes the socket at the end; null: this program itself.</param>
    /// <param name="stop">Ends the wait.</param>
    public static VhostUserBackend Accept(string path, VhostUserOptions options, Action<string> report, CancellationToken stop, IHostPaths? paths = null)
    {
        VhostUserEndpoint endpoint = VhostUserEndpoint.Listening(path, paths ?? OwnPaths.Instance);
        try
        {
            while (true)
            {
                report($"waiting for a vhost-user back end to connect to {path}");
                endpoint.Wait(stop);
                try
                {
                    return new VhostUserBackend(endpoint, options, new VhostUserSession(endpoint.Open(), options.Wanted));
                }
                catch (LinuxException error)
                {
                    report(Explain(path, error));
                }
            }
        }
        catch
        {
            endpoint.Dispose();
            throw;
        }
    }

    /// <summary>Device configuration from its start, while the other process is gone as it was. False if it has none, or none was ever read.</summary>
    public bool TryReadConfig(Span<byte> into)
    {
        if (!_protocol.HasFlag(VhostUserFeatures.Config))
            return false;
        lock (_sync)
        {
            byte[] read = new byte[into.Length];
            if (Attempt(session => session.ReadConfig(read)))
                _config = read;
            if (_config.Length < into.Length)
                return false;
            _config.AsSpan(0, into.Length).CopyTo(into);
            return true;
        }
    }

    /// <summary>What the driver writes to device configuration. Lost if the back end has none.</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        if (!_protocol.HasFlag(VhostUserFeatures.Config))
            return;
        byte[] written = data.ToArray();
        lock (_sync)
            Attempt(session => session.WriteConfig(offset, written));
    }

    /// <summary>Has the other process tell the network where this address is now, if it can.</summary>
    public void SendRarp(ReadOnlySpan<byte> address)
    {
        ulong number = 0;
        for (int i = 0; i < MacBytes; i++)
            number |= (ulong)address[i] << 8 * i;
        lock (_sync)
            Attempt(session =>
            {
                if (session.Has(VhostUserFeatures.Rarp))
                    session.SayNumber(VhostUserRequest.SendRarp, number);
            });
    }

    /// <inheritdoc/>
    public void SetFeatures(ulong features)
    {
        lock (_sync)
        {
            _negotiated = features;
            Attempt(SayFeatures);
        }
    }

    /// <inheritdoc/>
    public void SetMemory(GuestMemory memory)
    {
        lock (_sync)
        {
            _memory = memory;
            Attempt(session => session.SetMemory(memory));
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
                Attempt(session => session.SetVringCall(vring, call));
        }
    }

    /// <inheritdoc/>
    public void ForgetVring(int vring)
    {
        lock (_sync)
        {
            // Better to lose what other vrings have in flight than to do what nobody asks for any more.
            if (_vrings[vring].Left && _inflight is not null && !_inflight.TryForget(vring))
                DropInflight();
            _vrings[vring].Left = false;
        }
    }

    /// <inheritdoc/>
    public void StartVring(int vring)
    {
        lock (_sync)
        {
            _vrings[vring].Running = true;
            (_vrings[vring].Begun, _vrings[vring].Used) = (false, false);
            Attempt(session => SayVring(session, vring));
        }
    }

    /// <inheritdoc/>
    public bool TryEnableVring(int vring, bool enabled)
    {
        // Without the protocol's features a vring that was started is enabled.
        if ((Features & VhostUserMessage.HasProtocolFeatures) == 0)
            return false;
        lock (_sync)
        {
            bool changed = _vrings[vring].Enabled != enabled;
            _vrings[vring].Enabled = enabled;
            _vrings[vring].Used |= enabled;
            if (changed && _vrings[vring].Told)
                Attempt(session => session.EnableVring(vring, enabled));
            return true;
        }
    }

    /// <inheritdoc/>
    public bool TryStopVring(int vring, out uint position)
    {
        lock (_sync)
        {
            VhostUserVring state = _vrings[vring];
            uint asked = state.Position;
            bool known = state.Running && (!state.Begun || (state.Told && Attempt(session => asked = session.StopVring(vring))));
            if (state.Running && !known)
                (state.Left, known) = (true, TryRecover(state, out asked));
            position = asked;
            (state.Running, state.Told) = (false, false);
            (state.Kick, state.Call, state.Error) = (null, null, null);
            return known;
        }
    }

    /// <summary>The driver has reset the device, all of whose vrings are stopped: nothing that was negotiated or in flight is left. Idempotent.</summary>
    public void Reset()
    {
        lock (_sync)
        {
            if (_negotiated is not null)
                Attempt(SayReset);
            (_negotiated, _memory) = (null, null);
            DropInflight();
            Array.ForEach(_vrings, vring => vring.Left = false);
        }
    }

    /// <summary>
    /// Has the back end write down from now on which pages it writes to, this one and those after it. False if it cannot. The log stays the caller's, who
    /// keeps it until <see cref="StopLog"/>.
    /// </summary>
    public bool TryStartLog(VhostUserLog log)
    {
        lock (_sync)
        {
            if (!_protocol.HasFlag(VhostUserFeatures.LogShmFd) || (Features & VhostUserMessage.LogAll) == 0)
                return false;
            _log = log;
            return Attempt(session =>
            {
                session.SetLog(log);
                SayLogging(session);
            });
        }
    }

    /// <summary>Ends what <see cref="TryStartLog"/> began. Idempotent.</summary>
    public void StopLog()
    {
        lock (_sync)
        {
            if (_log is null)
                return;
            _log = null;
            Attempt(SayLogging);
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
    /// A vring of which nobody knows where it stands is left out: its driver has to start it anew (<see cref="LosesPositions"/>).
    /// False: there is none, or one that can less.
    /// </summary>
    /// <param name="met">There was one, whether it could be used or not.</param>
    public bool TryReconnect(out bool met)
    {
        met = false;
        lock (_sync)
        {
            Abandon();
            try
            {
                VhostUserSocket socket = _endpoint.Open();
                met = true;
                VhostUserSession session = new(socket, _options.Wanted);
                Introduce(session);
                if ((session.Features & Features) != Features || (session.Protocol & _protocol) != _protocol)
                    Abandon();
                else
                    Resume(session);
            }
            catch (LinuxException)
            {
                Abandon();
            }

            return _session is not null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_sync)
        {
            Abandon();
            DropInflight();
            _endpoint.Dispose();
        }
    }

    private static string Explain(string path, LinuxException error) => error.Errno switch
    {
        LibcConstants.ENOENT => $"nothing listens on {path}: start the vhost-user back end first",
        LibcConstants.ECONNREFUSED => $"{path} is no socket on which somebody listens: start the vhost-user back end first",
        LibcConstants.ETIMEDOUT => $"what is behind {path} does not answer within {VhostUserSocket.TimeoutSeconds} s: is it a vhost-user back end?",
        LibcConstants.EPROTO or LibcConstants.ECONNRESET or LibcConstants.EPIPE => $"what is behind {path} does not speak vhost-user as a back end does ({error.Message})",
        _ => error.Message,
    };

    /// <summary>What a new connection is told once, whatever the driver does.</summary>
    private void Introduce(VhostUserSession session)
    {
        _session = session;
        if (session.Has(VhostUserFeatures.BackendReq))
            Channel = VhostUserChannel.Open(session);
        if (_options.Mtu is { } mtu && session.Has(VhostUserFeatures.NetMtu))
            session.SayNumber(VhostUserRequest.NetSetMtu, (ulong)mtu, acknowledged: true);
    }

    /// <summary>Everything that the back end before this one knew.</summary>
    private void Resume(VhostUserSession session)
    {
        if (_negotiated is not null)
            SayFeatures(session);
        if (_memory is { } memory)
            session.SetMemory(memory);
        if (_log is { } log)
            session.SetLog(log);
        for (int i = 0; i < _vrings.Length; i++)
        {
            VhostUserVring vring = _vrings[i];
            if (!vring.Running)
                continue;
            if (vring.Begun)
            {
                if (!TryRecover(vring, out uint position))
                    continue;
                vring.Position = position;
            }

            SayVring(session, i);
        }
    }

    private void SayFeatures(VhostUserSession session)
    {
        SayStatus(session, VirtioConfig.VIRTIO_CONFIG_S_ACKNOWLEDGE | VirtioConfig.VIRTIO_CONFIG_S_DRIVER);
        session.SetFeatures(_negotiated!.Value | (_log is null ? 0 : VhostUserMessage.LogAll));
        SayStatus(session, VirtioConfig.VIRTIO_CONFIG_S_FEATURES_OK);
        if (session.Has(VhostUserFeatures.Status) && (session.AskNumber(VhostUserRequest.GetStatus) & VirtioConfig.VIRTIO_CONFIG_S_FEATURES_OK) == 0)
            throw new LinuxException("the back end refuses the features", LibcConstants.EPROTO);
    }

    /// <summary>The back end follows the driver's status, where it can.</summary>
    private void SayStatus(VhostUserSession session, byte added)
    {
        if ((_status & added) == added || !session.Has(VhostUserFeatures.Status))
            return;
        _status |= added;
        session.SayNumber(VhostUserRequest.SetStatus, _status);
    }

    private void SayReset(VhostUserSession session)
    {
        _status = 0;
        if (session.Has(VhostUserFeatures.Status))
            session.SayNumber(VhostUserRequest.SetStatus, 0);
        if (session.Has(VhostUserFeatures.ResetDevice))
            session.SayNothing(VhostUserRequest.ResetDevice);
    }

    private void SayVring(VhostUserSession session, int vring)
    {
        VhostUserVring state = _vrings[vring];
        if (!_inflightTold && session.Has(VhostUserFeatures.InflightShmFd))
        {
            _inflight ??= VhostUserInflightRegion.Ask(session, _vrings.Length, _options.QueueSize);
            _inflight.Tell(session);
            _inflightTold = true;
        }

        state.Begun = true;
        state.Used |= state.Enabled;
        session.StartVring(vring, state, logged: _log is not null);
        SayStatus(session, VirtioConfig.VIRTIO_CONFIG_S_DRIVER_OK);
        state.Told = true;
        // What the driver announced to nobody; a kick too many does no harm.
        state.Kick?.Signal();
    }

    private void SayLogging(VhostUserSession session)
    {
        if (_negotiated is not null)
            SayFeatures(session);
        for (int i = 0; i < _vrings.Length; i++)
        {
            if (_vrings[i].Told)
                session.SetVringAreas(i, _vrings[i].Areas, logged: _log is not null);
        }
    }

    /// <summary>Says it if there is somebody who listens; the caller has noted it for the next one. False if it was not said.</summary>
    private bool Attempt(Action<VhostUserSession> say)
    {
        if (_session is null)
            return false;
        try
        {
            say(_session);
            return true;
        }
        catch (LinuxException)
        {
            Abandon();
            return false;
        }
    }

    /// <summary>Where a vring stands for somebody who has only the ring, and what the last back end left: behind the last chain that was given back.</summary>
    private bool TryRecover(VhostUserVring vring, out uint position)
    {
        position = 0;
        if (_negotiated is not { } features || _memory is not { } memory)
            return false;
        if ((features & RingPacked) != 0)
        {
            if (_inflight is not null && _inflight.TryReadPackedPosition(Array.IndexOf(_vrings, vring), memory, vring.Areas.Descriptor.Guest, out position))
                return true;
            position = vring.Position;
            return !vring.Used;
        }

        if (!memory.TryRead(new GuestAddress(vring.Areas.Device.Guest.Value + UsedIndexOffset), out ushort used))
            return false;
        position = used;
        return true;
    }

    private void DropInflight()
    {
        _inflight?.Dispose();
        (_inflight, _inflightTold) = (null, false);
    }

    private void Abandon()
    {
        _session?.Dispose();
        _session = null;
        Channel?.Dispose();
        Channel = null;
        (_inflightTold, _status) = (false, 0);
        Array.ForEach(_vrings, vring => vring.Told = false);
    }
}
