using System.Buffers.Binary;
using System.Net.Sockets;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Serve;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.Abi.Virtio.VirtioNet;
using static KvmSharp.Backends.Vhost.User.VhostUserRequest;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// A device behind a vhost-user socket, and a front end that lies: in messages, in the descriptors that come with them, and in the rings, requests and notes of what is in flight in the
/// memory that it shares. What it does may cost its connection; the next one must be served.
/// </summary>
internal sealed class ServeTarget : IFuzzTarget
{
    private const int QueueSize = 16, Vrings = 2, PatienceMs = 10_000;
    private static readonly VhostUserRequest[] s_requests = Enum.GetValues<VhostUserRequest>();

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-fuzz-").FullName;
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly IVirtioSubject _subject;
    private readonly bool _net;
    private readonly ServeHost _host;
    private readonly EventFd _kick = new(), _call = new(), _error = new();
    private Exception? _failure;

    /// <param name="subject">What is served.</param>
    /// <param name="net">It is a network interface.</param>
    internal ServeTarget(IVirtioSubject subject, bool net)
    {
        _subject = subject;
        _net = net;
        _host = new ServeHost(new ServeOptions(), NullLoggerFactory.Instance, error => _failure = error);
        _host.Add("fuzz", SocketPath, loops => new Served(subject.Create(loops[0]), net));
    }

    private string SocketPath => Path.Combine(_folder, "s");

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        bool packed = (how & 1) != 0;
        HostileRing ring = new(_memory, FuzzGuest.Rings, QueueSize, packed);
        int vring = (how & 8) != 0 ? 1 : 0;
        if ((how & 16) != 0)
            LeaveNotes(script);
        using (FrontEnd frontEnd = new(SocketPath))
        {
            if ((how & 2) != 0)
                Prepare(frontEnd, ring, vring, inFlight: (how & 4) != 0);
            while (!script.AtEnd && frontEnd.IsUp)
                Step(script, frontEnd, ring, vring);
        }

        // The next one is only heard when this one has been forgotten.
        FuzzFailure.Unless(SpinWait.SpinUntil(() => !_host.Ports[0].IsConnected || _failure is not null, PatienceMs), "the connection does not end");
        Check();
    }

    public void Probe()
    {
        HostileRing ring = new(_memory, FuzzGuest.Rings, QueueSize, packed: false);
        _memory.TryWrite(new GuestAddress(FuzzGuest.Data), 0UL);
        _memory.TryWrite(new GuestAddress(FuzzGuest.Data + 8), 0UL);
        _subject.Restore();
        FuzzScript nothing = new(new Behaviours());
        using (FrontEnd frontEnd = new(SocketPath))
        {
            Prepare(frontEnd, ring, _subject.ProbeQueue, inFlight: false);
            ring.AddChain(nothing, [.. _subject.ProbeBuffers.Select(b => (b.Address, b.Length, b.Writable))]);
            _kick.Signal();
            FuzzFailure.Unless(
                SpinWait.SpinUntil(() => _memory.TryRead(new GuestAddress(ring.DeviceArea + 2), out ushort used) && used == 1, PatienceMs), "an honest front end is not served");
        }

        Check();
    }

    public void Dispose()
    {
        _host.Dispose();
        _kick.Dispose();
        _call.Dispose();
        _error.Dispose();
        _memory.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static byte[] Words(params ulong[] words)
    {
        byte[] bytes = new byte[8 * words.Length];
        for (int i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8 * i), words[i]);
        return bytes;
    }

    private void Check()
    {
        if (_failure is { } failure)
            throw new FuzzFailure("an exception ended a thread", failure);
    }

    /// <summary>What a process that died may have left, or may not.</summary>
    private void LeaveNotes(FuzzScript script)
    {
        uint bytes = (uint)InFlightRegion.SizeOf(QueueSize);
        for (uint i = (uint)script.U8(); i > 0; i--)
            _memory.TryWrite(new GuestAddress(script.U16() % (Vrings * bytes) & ~1U), (ushort)((i & 1) != 0 ? script.Below(QueueSize) : script.U16()));
        for (uint vring = 0; vring < Vrings; vring++)
            _memory.TryWrite(new GuestAddress(vring * bytes + 8), 1U | QueueSize << 16);
    }

    /// <summary>What an honest front end says until a vring runs.</summary>
    private void Prepare(FrontEnd frontEnd, HostileRing ring, int vring, bool inFlight)
    {
        ulong user = (ulong)_memory.Regions[0].Host, index = (uint)vring, features = _net ? 1UL << VIRTIO_NET_F_MRG_RXBUF : 0;
        frontEnd.Say(SetProtocolFeatures, Words(ulong.MaxValue));
        frontEnd.Say(SetFeatures, Words(features | VirtioFeatures.Version1 | VhostUserMessage.HasProtocolFeatures | VirtioFeatures.IndirectDesc | (ring.Packed ? VirtioFeatures.RingPacked : 0)));
        frontEnd.Say(SetMemTable, Words(1, 0, FuzzGuest.Bytes, user, 0), _memory.File);
        if (inFlight)
            frontEnd.Say(SetInflightFd, Words(FuzzGuest.Bytes, 0, Vrings | QueueSize << 16), _memory.File);
        frontEnd.Say(SetVringNum, Words(index | (ulong)QueueSize << 32));
        frontEnd.Say(SetVringBase, Words(index | (ring.Packed ? 0x8000_8000UL << 32 : 0)));
        frontEnd.Say(SetVringAddr, Words(index, user + ring.DescriptorArea, user + ring.DeviceArea, user + ring.DriverArea, 0));
        frontEnd.Say(SetVringCall, Words(index), _call);
        frontEnd.Say(SetVringErr, Words(index), _error);
        frontEnd.Say(SetVringKick, Words(index), _kick);
        frontEnd.Say(SetVringEnable, Words(index | 1UL << 32));
    }

    private void Step(FuzzScript script, FrontEnd frontEnd, HostileRing ring, int vring)
    {
        byte op = script.U8();
        switch (op & 15)
        {
            case < 3:
                _subject.AddRequest(script, _memory, ring);
                _kick.Signal();
                break;
            case 3:
                ring.AddChain(script);
                _kick.Signal();
                break;
            case 4:
                ring.Scribble(script);
                break;
            case 5:
                ring.Jump(script);
                _kick.Signal();
                break;
            case 6:
                Prepare(frontEnd, ring, vring, (op & 0x80) != 0);
                break;
            case 7:
                LeaveNotes(script);
                break;
            case 8 when _net:
                _subject.OnHost(script);
                break;
            default:
                Say(script, frontEnd, op);
                break;
        }
    }

    private void Say(FuzzScript script, FrontEnd frontEnd, byte op)
    {
        VhostUserRequest request = (op & 0x10) != 0 ? (VhostUserRequest)script.U8() : s_requests[script.Below(s_requests.Length)];
        byte[] payload = new byte[8 * script.Below(8) + ((op & 0x20) != 0 ? script.Below(8) : 0)];
        ulong user = (ulong)_memory.Regions[0].Host;
        for (int i = 0; i + 8 <= payload.Length; i += 8)
            BinaryPrimitives.WriteUInt64LittleEndian(payload.AsSpan(i), (script.U8() & 3) switch { 0 => script.Number(), 1 => user + script.U16(), 2 => script.U8(), _ => (ulong)script.U8() << 32 });
        FileDescriptor[] descriptors = (script.U8() & 7) switch { 0 => [_memory.File], 1 => [_kick], 2 => [_call, _memory.File], 3 => [frontEnd.File], _ => [] };
        script.Observe(5, (ulong)request);
        frontEnd.Say(request, payload, descriptors);
    }

    private sealed class Served(IVirtioDevice device, bool keepsOrder) : IServedDevice
    {
        public IVirtioDevice Device => device;

        public int QueueNumber => device.Identity.QueueSizes.Count;

        public bool KeepsOrder => keepsOrder;

        public void Dispose() => device.Dispose();
    }

    /// <summary>A connection; what is said on it after it was hung up is lost. Answers are thrown away.</summary>
    private sealed class FrontEnd : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly byte[] _answers = new byte[4096];

        public FrontEnd(string path)
        {
            _socket.Connect(new UnixDomainSocketEndPoint(path));
            using FileDescriptor borrowed = new((int)_socket.Handle);
            File = borrowed.Duplicate();
            borrowed.SetHandleAsInvalid();
        }

        public FileDescriptor File { get; }

        public bool IsUp { get; private set; } = true;

        public void Say(VhostUserRequest request, byte[] payload, params FileDescriptor[] descriptors)
        {
            if (_socket.Available > 0)
                _ = _socket.Receive(_answers);
            IsUp = IsUp && VhostUserWire.Send(File, (uint)request, VhostUserMessage.ProtocolVersion, payload, [.. descriptors.Select(d => d.Value)]) == 0;
        }

        public void Dispose()
        {
            // It may not have been heard at all yet, and would be when its rings are another's.
            _socket.ReceiveTimeout = PatienceMs;
            try
            {
                _socket.Shutdown(SocketShutdown.Send);
                while (_socket.Receive(_answers) > 0)
                {
                }
            }
            catch (SocketException error) when (error.SocketErrorCode != SocketError.TimedOut && error.SocketErrorCode != SocketError.WouldBlock)
            {
                // Hung up with something unread.
            }

            _socket.Dispose();
            File.Dispose();
        }
    }
}
