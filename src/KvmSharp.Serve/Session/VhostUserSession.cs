using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Abi.Vhost;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio;
using Microsoft.Extensions.Logging;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Serve.Session;

/// <summary>
/// One front end's connection (the vhost-user protocol; we are its back end). The front end is not trusted: what makes no sense ends the connection,
/// and the device is as new for the next one. Control thread.
/// </summary>
internal sealed class VhostUserSession : IEventSink, IDisposable
{
    private const uint MessageCookie = 0, ConfigCookie = 1, LostCookie = 2, HeldCookie = 3;

    /// <summary>Messages per turn, so that other connections have theirs.</summary>
    private const int Budget = 16;

    private const int MaxConfigBytes = 256;
    private const byte StatusNeedsReset = 0x40;

    private const VhostUserFeatures Offered = VhostUserFeatures.MultiQueue | VhostUserFeatures.ReplyAck | VhostUserFeatures.Config | VhostUserFeatures.BackendReq |
        VhostUserFeatures.ResetDevice | VhostUserFeatures.ConfigureMemSlots | VhostUserFeatures.Status | VhostUserFeatures.LogShmFd | VhostUserFeatures.InflightShmFd;

    private readonly FileDescriptor _socket;
    private readonly IServedDevice _served;
    private readonly EventLoop _control;
    private readonly ILogger _logger;
    private readonly Action<bool> _ended;
    private readonly MessageReader _reader;
    private readonly FrontEndLines _lines;
    private readonly ServedRings _rings;
    private readonly ulong _offered;
    private readonly EventToken _token;
    private readonly EventFd _lost = new();
    private readonly EventToken _lostToken;
    private VhostUserFeatures _protocol;
    private FileDescriptor? _backChannel;
    private byte _status;
    private bool _disposed;

    /// <param name="ended">The connection has ended by itself; everything is given back. True: the front end has held an I/O thread up.</param>
    public VhostUserSession(FileDescriptor socket, IServedDevice served, EventLoop control, IReadOnlyList<EventLoop> io, ILogger logger, Action<bool> ended)
    {
        _socket = socket;
        _served = served;
        _control = control;
        _logger = logger;
        _ended = ended;
        _reader = new MessageReader(socket);
        VirtioIdentity identity = served.Device.Identity;
        _offered = identity.DeviceFeatures | (identity.RingFeatures & VirtioFeatures.Ring) | VirtioFeatures.Version1 | HasProtocolFeatures | LogAll;
        _lines = new FrontEndLines(identity.QueueSizes.Count, io, logger, () => control.Post(this, ConfigCookie), () => control.Post(this, HeldCookie));
        _rings = new ServedRings(served, _lines, _lost);
        _token = control.Register(socket, LibcConstants.EPOLLIN | LibcConstants.EPOLLRDHUP, this, MessageCookie);
        _lostToken = control.Register(_lost, LibcConstants.EPOLLIN, this, LostCookie);
    }

    private IVirtioDevice Device => _served.Device;

    /// <summary>Hangs up. Idempotent.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _control.Unregister(_token);
        _control.Unregister(_lostToken);
        _rings.Close();
        _lines.Clear();
        _reader.Dispose();
        _backChannel?.Dispose();
        _socket.Dispose();
        _lost.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_disposed)
            return;
        switch (cookie)
        {
            case ConfigCookie:
                AnnounceConfig();
                break;
            case LostCookie:
                _logger.LogWarning("the front end took memory away that it shares");
                End(heldUs: false);
                break;
            case HeldCookie:
                _logger.LogWarning("the front end held an I/O thread up with an eventfd that blocks");
                End(heldUs: true);
                break;
            default:
                TakeMessages();
                break;
        }
    }

    private void End(bool heldUs)
    {
        Dispose();
        _ended(heldUs);
    }

    private void TakeMessages()
    {
        try
        {
            for (int budget = Budget; budget > 0 && _reader.TryRead(); budget--)
                Handle();
        }
        catch (Exception error) when (error is ProtocolException or LinuxException)
        {
            _logger.LogInformation("the connection ends: {Reason}", error.Message);
            End(heldUs: false);
        }
    }

    private void Handle()
    {
        bool answered = TryAnswer();
        if (!answered)
            Obey();
        if (!answered && _reader.NeedsReply && _protocol.HasFlag(VhostUserFeatures.ReplyAck))
            Reply(0UL);
    }

    /// <summary>Questions.</summary>
    private bool TryAnswer()
    {
        switch (_reader.Request)
        {
            case VhostUserRequest.GetFeatures:
                Reply(_offered);
                return true;
            case VhostUserRequest.GetProtocolFeatures:
                Reply((ulong)Offered);
                return true;
            case VhostUserRequest.GetQueueNum:
                Reply((ulong)_served.QueueNumber);
                return true;
            case VhostUserRequest.GetMaxMemSlots:
                Reply(FrontEndMemory.MaxRegions);
                return true;
            case VhostUserRequest.GetStatus:
                Reply((ulong)(_status | (_lines.IsFaulty ? StatusNeedsReset : 0)));
                return true;
            case VhostUserRequest.GetVringBase:
                vhost_vring_state state = Payload<vhost_vring_state>();
                state.num = _rings.Stop(Vring(state.index));
                Reply(MemoryMarshal.AsBytes(new ReadOnlySpan<vhost_vring_state>(in state)));
                return true;
            case VhostUserRequest.GetInflightFd:
                AnswerInFlight();
                return true;
            case VhostUserRequest.SetLogBase:
                SetLog();
                Reply(0UL);
                return true;
            case VhostUserRequest.GetConfig:
                AnswerConfig();
                return true;
            default:
                return false;
        }
    }

    /// <summary>Orders.</summary>
    private void Obey()
    {
        switch (_reader.Request)
        {
            case VhostUserRequest.SetOwner:
                break;
            case VhostUserRequest.SetFeatures:
                SetFeatures(Payload<ulong>());
                break;
            case VhostUserRequest.SetProtocolFeatures:
                _protocol = (VhostUserFeatures)Payload<ulong>() & Offered;
                break;
            case VhostUserRequest.SetMemTable:
                SetMemTable();
                break;
            case VhostUserRequest.AddMemReg:
                using (FileDescriptor file = _reader.TakeDescriptor())
                    _rings.AddRegion(SingleRegion(), file);
                break;
            case VhostUserRequest.RemMemReg:
                if (!_rings.RemoveRegion(SingleRegion()))
                    throw new ProtocolException("a memory region that is not there is removed");
                break;
            case VhostUserRequest.SetBackendReqFd:
                _backChannel?.Dispose();
                _backChannel = _reader.TakeDescriptor();
                break;
            case VhostUserRequest.SetInflightFd:
                using (FileDescriptor file = _reader.TakeDescriptor())
                    _rings.ReplaceInFlight(InFlightFile.Open(InFlightLayout(), file, _lost));
                break;
            case VhostUserRequest.SetConfig:
                SetConfig();
                break;
            case VhostUserRequest.ResetOwner or VhostUserRequest.ResetDevice:
                _rings.Reset();
                break;
            case VhostUserRequest.SetStatus:
                _status = (byte)(Payload<ulong>() & ~(ulong)StatusNeedsReset);
                if (_status == 0)
                    _rings.Reset();
                break;
            default:
                if (!TryObeyVring())
                    throw new ProtocolException($"message {_reader.Request} of {_reader.Payload.Length} bytes is not understood");
                break;
        }
    }

    private bool TryObeyVring()
    {
        switch (_reader.Request)
        {
            case VhostUserRequest.SetVringNum:
                vhost_vring_state size = Payload<vhost_vring_state>();
                _rings.SetSize(Vring(size.index), size.num);
                return true;
            case VhostUserRequest.SetVringBase:
                vhost_vring_state position = Payload<vhost_vring_state>();
                _rings.SetBase(Vring(position.index), position.num);
                return true;
            case VhostUserRequest.SetVringEnable:
                vhost_vring_state enable = Payload<vhost_vring_state>();
                _rings.SetEnabled(Vring(enable.index), enable.num != 0);
                return true;
            case VhostUserRequest.SetVringAddr:
                vhost_vring_addr areas = Payload<vhost_vring_addr>();
                _rings.SetAreas(Vring(areas.index), areas.desc_user_addr, areas.avail_user_addr, areas.used_user_addr);
                return true;
            case VhostUserRequest.SetVringCall:
                _lines.SetCall(VringOfDescriptor(), TakeEventFd());
                return true;
            case VhostUserRequest.SetVringErr:
                _lines.SetError(VringOfDescriptor(), TakeEventFd());
                return true;
            case VhostUserRequest.SetVringKick:
                // Without a descriptor nobody kicks: only a thread that never sleeps sees what comes.
                _rings.SetKick(VringOfDescriptor(), TakeEventFd() ?? new EventFd());
                return true;
            default:
                return false;
        }
    }

    private void SetFeatures(ulong features)
    {
        if ((features & ~_offered) != 0)
            throw new ProtocolException($"features 0x{features & ~_offered:x} were not offered");
        _rings.StartEnabled = (features & HasProtocolFeatures) == 0;
        _rings.SetFeatures(features & ~(HasProtocolFeatures | LogAll), (features & LogAll) != 0);
    }

    private void SetMemTable()
    {
        ReadOnlySpan<byte> payload = _reader.Payload;
        uint count = payload.Length >= 2 * sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(payload) : uint.MaxValue;
        if (count > MaxDescriptors || payload.Length < 2 * sizeof(uint) + count * RegionBytes)
            throw new ProtocolException($"a memory table of {count} regions in {payload.Length} bytes");
        FrontEndMemory memory = new(_lost);
        try
        {
            foreach (FrontEndRegion region in MemoryMarshal.Cast<byte, FrontEndRegion>(payload.Slice(2 * sizeof(uint), (int)count * RegionBytes)))
            {
                using FileDescriptor file = _reader.TakeDescriptor();
                memory.Add(region, file);
            }
        }
        catch
        {
            memory.Dispose();
            throw;
        }

        _rings.ReplaceMemory(memory);
    }

    /// <summary>Of ADD_MEM_REG and REM_MEM_REG: a word of padding comes first.</summary>
    private FrontEndRegion SingleRegion() => _reader.Payload.Length >= sizeof(ulong) + RegionBytes
        ? MemoryMarshal.Read<FrontEndRegion>(_reader.Payload[sizeof(ulong)..])
        : throw new ProtocolException($"{_reader.Request} has {_reader.Payload.Length} bytes");

    private void AnswerInFlight()
    {
        VhostUserInflight layout = InFlightLayout();
        using FileDescriptor file = InFlightFile.Create(ref layout);
        Reply(MemoryMarshal.AsBytes(new ReadOnlySpan<VhostUserInflight>(in layout))[.._reader.Payload.Length], [file.Value]);
    }

    private void SetLog()
    {
        (ulong Bytes, ulong Offset) place = Payload<(ulong, ulong)>();
        using FileDescriptor file = _reader.TakeDescriptor();
        _rings.ReplaceLog(new DirtyLog(file, place.Bytes, place.Offset, _lost));
    }

    /// <summary>With or without the padding at its end.</summary>
    private VhostUserInflight InFlightLayout()
    {
        const int Unpadded = 20;
        VhostUserInflight layout = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<VhostUserInflight>(ref layout));
        if (_reader.Payload.Length < Unpadded || _reader.Payload.Length > bytes.Length)
            throw new ProtocolException($"{_reader.Request} has {_reader.Payload.Length} bytes");
        _reader.Payload.CopyTo(bytes);
        return layout;
    }

    /// <summary>What lies beyond the device's configuration reads as zero.</summary>
    private void AnswerConfig()
    {
        (uint offset, uint size) = ConfigRange();
        Span<byte> answer = stackalloc byte[ConfigHeadBytes + (int)size];
        _reader.Payload[..ConfigHeadBytes].CopyTo(answer);
        answer[ConfigHeadBytes..].Clear();
        uint length = Device.Identity.ConfigLength;
        if (offset < length)
            Device.ReadConfig(offset, answer.Slice(ConfigHeadBytes, (int)Math.Min(size, length - offset)));
        Reply(answer);
    }

    private void SetConfig()
    {
        (uint offset, uint size) = ConfigRange();
        uint length = Device.Identity.ConfigLength;
        if (offset > length || size > length - offset || _reader.Payload.Length < ConfigHeadBytes + size)
            throw new ProtocolException($"{size} bytes are written to offset {offset} of a configuration of {length}");
        Device.WriteConfig(offset, _reader.Payload.Slice(ConfigHeadBytes, (int)size));
    }

    private (uint Offset, uint Size) ConfigRange()
    {
        ReadOnlySpan<byte> payload = _reader.Payload;
        if (payload.Length < ConfigHeadBytes)
            throw new ProtocolException($"{_reader.Request} has {payload.Length} bytes");
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(payload), size = BinaryPrimitives.ReadUInt32LittleEndian(payload[4..]);
        return offset <= MaxConfigBytes && size <= MaxConfigBytes - offset ? (offset, size) : throw new ProtocolException($"{size} bytes at offset {offset} of the configuration");
    }

    /// <summary>The device's configuration has changed. A front end without a channel for it finds out by itself, or not.</summary>
    private void AnnounceConfig()
    {
        // Lost if the front end does not read what was said before: it has not looked yet.
        if (_backChannel is not null)
            _ = VhostUserWire.Send(_backChannel, (uint)VhostUserBackendRequest.ConfigChange, ProtocolVersion, default, default, wait: false);
    }

    private EventFd? TakeEventFd()
    {
        if ((Payload<ulong>() & NoDescriptor) != 0)
            return null;
        FileDescriptor received = _reader.TakeDescriptor();
        try
        {
            return new EventFd(received);
        }
        catch (LinuxException)
        {
            received.Dispose();
            throw new ProtocolException($"{_reader.Request}: the descriptor is no eventfd");
        }
    }

    private int VringOfDescriptor() => Vring((uint)(Payload<ulong>() & (NoDescriptor - 1)));

    private int Vring(uint index) => index < (uint)Device.Identity.QueueSizes.Count ? (int)index : throw new ProtocolException($"there is no vring {index}");

    private T Payload<T>()
        where T : unmanaged => MemoryMarshal.TryRead(_reader.Payload, out T value) ? value : throw new ProtocolException($"{_reader.Request} has {_reader.Payload.Length} bytes");

    private void Reply(ulong number)
    {
        Span<byte> payload = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, number);
        Reply(payload);
    }

    private void Reply(ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default)
    {
        int errno = VhostUserWire.Send(_socket, (uint)_reader.Request, ProtocolVersion | VhostUserMessage.Reply, payload, descriptors, wait: false);
        if (errno != 0)
            throw new ProtocolException($"the answer to {_reader.Request} is not taken (error {errno})");
    }
}
