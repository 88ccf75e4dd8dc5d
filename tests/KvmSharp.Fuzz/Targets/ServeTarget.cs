using System.Buffers.Binary;
using System.Net.Sockets;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.Serve;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.Backends.Vhost.User.VhostUserRequest;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// A disk behind a vhost-user socket, and a front end that lies: in messages, in the descriptors that come with them, and in the rings and requests in the memory
/// that it shares. What it does may cost its connection; the next one must be served.
/// </summary>
internal sealed class ServeTarget : IFuzzTarget
{
    private const int QueueSize = 16, PatienceMs = 10_000;
    private static readonly VhostUserRequest[] s_requests = Enum.GetValues<VhostUserRequest>();

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-fuzz-").FullName;
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly BlockSubject _disk = new();
    private readonly ServeHost _host;
    private readonly EventFd _kick = new(), _call = new(), _error = new();
    private Exception? _failure;

    internal ServeTarget()
    {
        _host = new ServeHost(new ServeOptions(), NullLoggerFactory.Instance, error => _failure = error);
        _host.Add("fuzz", SocketPath, loops => new Served(_disk.Create(loops[0])));
    }

    private string SocketPath => Path.Combine(_folder, "s");

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        bool packed = (how & 1) != 0;
        HostileRing ring = new(_memory, FuzzGuest.Rings, QueueSize, packed);
        using (FrontEnd frontEnd = new(SocketPath))
        {
            if ((how & 2) != 0)
                Prepare(frontEnd, ring, inFlight: (how & 4) != 0);
            while (!script.AtEnd && frontEnd.IsUp)
                Step(script, frontEnd, ring);
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
        _memory.TryWrite(new GuestAddress(FuzzGuest.Data + 0x100), (byte)0xFF);
        FuzzScript nothing = new(new Behaviours());
        using (FrontEnd frontEnd = new(SocketPath))
        {
            Prepare(frontEnd, ring, inFlight: false);
            ring.AddChain(nothing, [.. _disk.ProbeBuffers.Select(b => (b.Address, b.Length, b.Writable))]);
            _kick.Signal();
            FuzzFailure.Unless(
                SpinWait.SpinUntil(() => _memory.TryRead(new GuestAddress(FuzzGuest.Data + 0x100), out byte status) && status == 0, PatienceMs), "an honest front end is not served");
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

    /// <summary>What an honest front end says until its first vring runs.</summary>
    private void Prepare(FrontEnd frontEnd, HostileRing ring, bool inFlight)
    {
        ulong user = (ulong)_memory.Regions[0].Host;
        frontEnd.Say(SetProtocolFeatures, Words(ulong.MaxValue));
        frontEnd.Say(SetFeatures, Words(VirtioFeatures.Version1 | VhostUserMessage.HasProtocolFeatures | VirtioFeatures.IndirectDesc | (ring.Packed ? VirtioFeatures.RingPacked : 0)));
        frontEnd.Say(SetMemTable, Words(1, 0, FuzzGuest.Bytes, user, 0), _memory.File);
        if (inFlight)
            frontEnd.Say(SetInflightFd, Words(FuzzGuest.Bytes, 0, 1 | QueueSize << 16), _memory.File);
        frontEnd.Say(SetVringNum, Words((ulong)QueueSize << 32));
        frontEnd.Say(SetVringBase, Words(ring.Packed ? 0x8000_8000UL << 32 : 0));
        frontEnd.Say(SetVringAddr, Words(0, user + ring.DescriptorArea, user + ring.DeviceArea, user + ring.DriverArea, 0));
        frontEnd.Say(SetVringCall, Words(0), _call);
        frontEnd.Say(SetVringErr, Words(0), _error);
        frontEnd.Say(SetVringKick, Words(0), _kick);
        frontEnd.Say(SetVringEnable, Words(1UL << 32));
    }

    private void Step(FuzzScript script, FrontEnd frontEnd, HostileRing ring)
    {
        byte op = script.U8();
        switch (op & 15)
        {
            case < 3:
                _disk.AddRequest(script, _memory, ring);
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
                Prepare(frontEnd, ring, (op & 0x80) != 0);
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

    private sealed class Served(IVirtioDevice device) : IServedDevice
    {
        public IVirtioDevice Device => device;

        public int QueueNumber => device.Identity.QueueSizes.Count;

        public VhostUserFeatures ProtocolFeatures => VhostUserFeatures.InflightShmFd;

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
            _socket.Shutdown(SocketShutdown.Both);
            _socket.Dispose();
            File.Dispose();
        }
    }
}
