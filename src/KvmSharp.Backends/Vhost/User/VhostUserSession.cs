using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>
/// One connection and what was agreed on it: what a front end can say, as messages. Not thread-safe. Every call throws <see cref="LinuxException"/>
/// if the other side is gone, silent, refuses or does not keep to the protocol; the connection is of no use then.
/// </summary>
internal sealed unsafe class VhostUserSession : IDisposable
{
    /// <summary>Offset, length and flags in front of device configuration.</summary>
    private const int ConfigHead = 12;

    /// <summary>Memory regions of one table.</summary>
    private const int MaxRegions = 8;

    private readonly VhostUserSocket _socket;

    // As this connection was told.
    private GuestMemory? _memory;
    private GuestMemoryRegion[] _slots = [];

    /// <summary>Takes the socket over, also if it throws.</summary>
    /// <param name="socket">Connected; nothing was said on it.</param>
    /// <param name="wanted">Protocol features of ours.</param>
    public VhostUserSession(VhostUserSocket socket, VhostUserFeatures wanted)
    {
        _socket = socket;
        try
        {
            Features = socket.AskNumber(VhostUserRequest.GetFeatures);
            if (HasVringStates)
            {
                Protocol = (VhostUserFeatures)socket.AskNumber(VhostUserRequest.GetProtocolFeatures) & wanted;
                SayNumber(VhostUserRequest.SetProtocolFeatures, (ulong)Protocol);
            }

            socket.Send(VhostUserRequest.SetOwner, default);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Virtio features of the back end, and <see cref="HasProtocolFeatures"/>.</summary>
    public ulong Features { get; }

    /// <summary>What both sides have.</summary>
    public VhostUserFeatures Protocol { get; }

    /// <summary>Hangs up when the peer is gone.</summary>
    public FileDescriptor File => _socket.File;

    /// <summary>A vring can be started and not enabled.</summary>
    public bool HasVringStates => (Features & HasProtocolFeatures) != 0;

    public bool Has(VhostUserFeatures feature) => (Protocol & feature) != 0;

    public ulong AskNumber(VhostUserRequest request) => _socket.AskNumber(request);

    public void SayNumber(VhostUserRequest request, ulong number, bool acknowledged = false) => Say(request, Bytes(in number), default, acknowledged);

    public void SayNothing(VhostUserRequest request) => Say(request, default);

    public void SetFeatures(ulong features) => SayNumber(VhostUserRequest.SetFeatures, features | (Features & HasProtocolFeatures));

    /// <summary>Device configuration from its start.</summary>
    public void ReadConfig(Span<byte> into)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(into.Length, MaxPayloadBytes - ConfigHead);
        Span<byte> payload = stackalloc byte[ConfigHead + into.Length];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], (uint)into.Length);
        Span<byte> answer = stackalloc byte[payload.Length];
        _socket.Ask(VhostUserRequest.GetConfig, payload, answer, out FileDescriptor? descriptor);
        descriptor?.Dispose();
        answer[ConfigHead..].CopyTo(into);
    }

    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data.Length, MaxPayloadBytes - ConfigHead);
        Span<byte> payload = stackalloc byte[ConfigHead + data.Length];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload, offset);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], (uint)data.Length);
        data.CopyTo(payload[ConfigHead..]);
        Say(VhostUserRequest.SetConfig, payload);
    }

    /// <summary>The memory that addresses are in from now on, as one table or region by region.</summary>
    public void SetMemory(GuestMemory memory)
    {
        if (Has(VhostUserFeatures.ConfigureMemSlots))
            SetSlots(memory);
        else
            SetTable(memory);
    }

    public void AskInflight(ref VhostUserInflight layout, out FileDescriptor? region) =>
        _socket.Ask(VhostUserRequest.GetInflightFd, Bytes(in layout), MemoryMarshal.AsBytes(new Span<VhostUserInflight>(ref layout)), out region);

    public void SetInflight(in VhostUserInflight layout, FileDescriptor region) => Say(VhostUserRequest.SetInflightFd, Bytes(in layout), [region.Value]);

    /// <summary>Where it writes down which pages it wrote to.</summary>
    public void SetLog(VhostUserLog log)
    {
        Span<ulong> payload = [log.SizeBytes, 0];
        _socket.SendAnswered(VhostUserRequest.SetLogBase, MemoryMarshal.AsBytes(payload), [log.File.Value]);
    }

    /// <summary>Describes the vring whole and starts it.</summary>
    public void StartVring(int vring, VhostUserVring state, bool logged)
    {
        SayState(VhostUserRequest.SetVringNum, vring, state.Size);
        SayState(VhostUserRequest.SetVringBase, vring, state.Position);
        SetVringAreas(vring, state.Areas, logged);
        SayDescriptor(VhostUserRequest.SetVringErr, vring, state.Error);
        SayDescriptor(VhostUserRequest.SetVringCall, vring, state.Call);
        SayDescriptor(VhostUserRequest.SetVringKick, vring, state.Kick);
        if (HasVringStates)
            EnableVring(vring, state.Enabled);
    }

    /// <param name="vring">Its number.</param>
    /// <param name="areas">In the memory that was set.</param>
    /// <param name="logged">What is written to the device area is logged.</param>
    public void SetVringAreas(int vring, in VhostAreas areas, bool logged)
    {
        vhost_vring_addr addresses = new()
        {
            index = (uint)vring,
            flags = logged ? 1U << VhostConstants.VHOST_VRING_F_LOG : 0,
            desc_user_addr = (ulong)areas.Descriptor.Host,
            avail_user_addr = (ulong)areas.Driver.Host,
            used_user_addr = (ulong)areas.Device.Host,
            log_guest_addr = logged ? areas.Device.Guest.Value : 0,
        };
        Say(VhostUserRequest.SetVringAddr, Bytes(in addresses));
    }

    public void SetVringCall(int vring, EventFd? call) => SayDescriptor(VhostUserRequest.SetVringCall, vring, call);

    /// <summary>Only with <see cref="HasVringStates"/>.</summary>
    public void EnableVring(int vring, bool enabled) => SayState(VhostUserRequest.SetVringEnable, vring, enabled ? 1U : 0, acknowledged: true);

    /// <summary>Stops the vring; where it stands.</summary>
    public uint StopVring(int vring)
    {
        vhost_vring_state state = new() { index = (uint)vring };
        vhost_vring_state answer = default;
        _socket.Ask(VhostUserRequest.GetVringBase, Bytes(in state), MemoryMarshal.AsBytes(new Span<vhost_vring_state>(ref answer)), out FileDescriptor? descriptor);
        descriptor?.Dispose();
        return answer.index == state.index ? answer.num : throw new LinuxException($"{VhostUserRequest.GetVringBase}: of another vring", Abi.LibcConstants.EPROTO);
    }

    /// <summary>Gives it a way to ask something of us.</summary>
    public void SetChannel(FileDescriptor end) => Say(VhostUserRequest.SetBackendReqFd, default, [end.Value], acknowledged: true);

    /// <summary>Whoever watches <see cref="File"/> sees that it hung up, although it was we who did.</summary>
    public void Dispose()
    {
        _socket.HangUp();
        _socket.Dispose();
    }

    private static ReadOnlySpan<byte> Bytes<T>(in T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));

    private static void Describe(in GuestMemoryRegion region, Span<byte> into)
    {
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(into);
        words[0] = region.Start.Value;
        words[1] = region.SizeBytes;
        words[2] = (ulong)region.Host;
        words[3] = region.FileOffset;
    }

    private void SetTable(GuestMemory memory)
    {
        ReadOnlySpan<GuestMemoryRegion> regions = memory.Regions;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(regions.Length, MaxRegions);
        Span<byte> payload = stackalloc byte[2 * sizeof(uint) + MaxRegions * RegionBytes];
        payload = payload[..(2 * sizeof(uint) + regions.Length * RegionBytes)];
        payload.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)regions.Length);
        Span<int> descriptors = stackalloc int[MaxRegions];
        for (int i = 0; i < regions.Length; i++)
        {
            Describe(regions[i], payload.Slice(2 * sizeof(uint) + i * RegionBytes, RegionBytes));
            descriptors[i] = memory.File.Value;
        }

        Say(VhostUserRequest.SetMemTable, payload, descriptors[..regions.Length], acknowledged: true);
    }

    private void SetSlots(GuestMemory memory)
    {
        if (ReferenceEquals(memory, _memory))
            return;
        if ((ulong)memory.Regions.Length > _socket.AskNumber(VhostUserRequest.GetMaxMemSlots))
            throw new LinuxException("the back end has too few memory slots", Abi.LibcConstants.ENOSPC);
        foreach (ref readonly GuestMemoryRegion slot in _slots.AsSpan())
            SaySlot(VhostUserRequest.RemMemReg, slot, default);
        (_memory, _slots) = (memory, memory.Regions.ToArray());
        foreach (ref readonly GuestMemoryRegion slot in _slots.AsSpan())
            SaySlot(VhostUserRequest.AddMemReg, slot, [memory.File.Value]);
    }

    private void SaySlot(VhostUserRequest request, in GuestMemoryRegion slot, ReadOnlySpan<int> descriptors)
    {
        Span<byte> payload = stackalloc byte[sizeof(ulong) + RegionBytes];
        payload.Clear();
        Describe(slot, payload[sizeof(ulong)..]);
        Say(request, payload, descriptors, acknowledged: true);
    }

    private void SayState(VhostUserRequest request, int vring, uint value, bool acknowledged = false)
    {
        vhost_vring_state state = new() { index = (uint)vring, num = value };
        Say(request, Bytes(in state), default, acknowledged);
    }

    private void SayDescriptor(VhostUserRequest request, int vring, EventFd? descriptor)
    {
        ulong word = (uint)vring | (descriptor is null ? NoDescriptor : 0);
        Say(request, Bytes(in word), descriptor is null ? default : [descriptor.Value]);
    }

    private void Say(VhostUserRequest request, ReadOnlySpan<byte> payload, ReadOnlySpan<int> descriptors = default, bool acknowledged = false)
    {
        if (acknowledged && Has(VhostUserFeatures.ReplyAck))
            _socket.SendAcknowledged(request, payload, descriptors);
        else
            _socket.Send(request, payload, descriptors);
    }
}
