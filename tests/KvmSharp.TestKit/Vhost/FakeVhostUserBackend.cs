using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio;

namespace KvmSharp.TestKit.Vhost;

/// <summary>A vhost-user back end that agrees to everything and serves nothing; one connection at a time. On request it is rude.</summary>
public sealed unsafe class FakeVhostUserBackend : IDisposable
{
    public const uint GetFeatures = 1, SetFeatures = 2, SetMemTable = 5, SetLogBase = 6, SetVringAddr = 9, SetVringBase = 10, GetVringBase = 11, GetProtocolFeatures = 15,
        GetQueueNum = 17, SetVringEnable = 18, SendRarp = 19, NetSetMtu = 20, SetBackendReqFd = 21, GetConfig = 24, GetInflightFd = 31, SetInflightFd = 32, ResetDevice = 34,
        GetMaxMemSlots = 36, AddMemReg = 37, RemMemReg = 38, SetStatus = 39, GetStatus = 40;

    /// <summary>Protocol features, as bits.</summary>
    public const ulong MultiQueue = 1 << 0, LogShmFd = 1 << 1, Rarp = 1 << 2, ReplyAck = 1 << 3, NetMtu = 1 << 4, BackendReq = 1 << 5, Config = 1 << 9, InflightShmFd = 1 << 12,
        ResetDeviceFeature = 1 << 13, ConfigureMemSlots = 1 << 15, Status = 1 << 16;

    /// <summary>Among the virtio features.</summary>
    public const ulong LogAll = 1UL << 26, ProtocolFeatures = 1UL << 30;

    private const int HeaderBytes = 12, MaxDescriptors = 8;

    private readonly string _path;
    private readonly ulong _protocol;
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Thread _thread;
    private readonly bool _connects;
    private volatile bool _disposed;
    private Socket? _peer;
    private ulong _status;

    /// <param name="path">Where it listens, or connects.</param>
    /// <param name="features">Beside VIRTIO_F_VERSION_1.</param>
    /// <param name="protocol">Of the features above.</param>
    /// <param name="connects">The front end listens.</param>
    public FakeVhostUserBackend(string path, ulong features = 0, ulong protocol = MultiQueue | ReplyAck | Config, bool connects = false)
    {
        _path = path;
        _protocol = protocol;
        _connects = connects;
        Features = features | ProtocolFeatures | VirtioFeatures.Version1;
        if (!connects)
        {
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            _socket.Listen();
        }

        _thread = new Thread(Run) { Name = "fake-vhost-user" };
        _thread.Start();
    }

    public ulong Features { get; }

    /// <summary>What it says before anybody asks for more.</summary>
    public ulong Queues { get; set; } = 2;

    public ulong MemorySlots { get; set; } = 8;

    /// <summary>Bits of the status that it does not take.</summary>
    public ulong RefusedStatus { get; set; }

    /// <summary>What it sends as its whole answer to a request; null: what is right. Nothing, and it is silent.</summary>
    public Func<uint, byte[]?>? Rudeness { get; set; }

    /// <summary>Requests that it answers as if they had failed.</summary>
    public uint Refused { get; set; }

    /// <summary>Device configuration.</summary>
    public byte[] ConfigSpace { get; } = new byte[256];

    /// <summary>Bytes of its answer to SET_LOG_BASE: 8, or 0 as DPDK has it.</summary>
    public int LogAnswerBytes { get; set; } = 8;

    /// <summary>Comes with what GET_INFLIGHT_FD answers; the caller's.</summary>
    public FileDescriptor? InflightFile { get; set; }

    /// <summary>What it says of the size of that file.</summary>
    public ulong InflightBytes { get; set; } = 4096;

    /// <summary>Come with every answer, as nobody asked for.</summary>
    public FileDescriptor? Extra { get; set; }

    /// <summary>What was said to it: request and first words of the payload.</summary>
    public ConcurrentQueue<(uint Request, uint First, uint Second)> Heard { get; } = new();

    /// <summary>What was said to it, whole.</summary>
    public ConcurrentQueue<(uint Request, byte[] Payload)> Messages { get; } = new();

    /// <summary>The last descriptor that came with a request.</summary>
    public ConcurrentDictionary<uint, FileDescriptor> Received { get; } = new();

    /// <summary>A message as it is on the wire.</summary>
    public static byte[] Message(uint request, uint flags, ReadOnlySpan<byte> payload, uint? length = null)
    {
        byte[] message = new byte[HeaderBytes + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(message, request);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), length ?? (uint)payload.Length);
        payload.CopyTo(message.AsSpan(HeaderBytes));
        return message;
    }

    /// <summary>Waits until it heard this; the payload.</summary>
    public byte[] WaitFor(uint request)
    {
        byte[]? found = null;
        bool heard = SpinWait.SpinUntil(() => (found = Messages.LastOrDefault(m => m.Request == request).Payload) is not null, 10000);
        return heard ? found! : throw new TimeoutException($"never heard request {request}");
    }

    /// <summary>Sends this on the channel that the front end gave.</summary>
    public void Say(ReadOnlySpan<byte> message)
    {
        WaitFor(SetBackendReqFd);
        fixed (byte* start = message)
            _ = Libc.write(Received[SetBackendReqFd].Value, start, (nuint)message.Length);
    }

    /// <summary>Forgets what it heard.</summary>
    public void Forget()
    {
        Heard.Clear();
        Messages.Clear();
    }

    public void Dispose()
    {
        _disposed = true;
        _socket.Dispose();
        // Wakes the thread, which reads without the help of the runtime.
        HangUp();
        _peer?.Dispose();
        _thread.Join();
        foreach (FileDescriptor descriptor in Received.Values)
            descriptor.Dispose();
        if (!_connects)
            File.Delete(_path);
    }

    private void HangUp()
    {
        try
        {
            _peer?.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The front end was first.
        }
    }

    private void Run()
    {
        while (!_disposed)
        {
            try
            {
                Meet();
                while (TryReadMessage(out byte[] header, out byte[] payload))
                    Answer(header, payload);
                _peer!.Dispose();
                if (_connects)
                    return;
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // Disposed, given up by the front end, or nobody listens yet.
                Thread.Sleep(10);
            }
        }
    }

    private void Meet()
    {
        if (!_connects)
        {
            _peer = _socket.Accept();
            return;
        }

        _peer = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _peer.Connect(new UnixDomainSocketEndPoint(_path));
    }

    private bool TryReadMessage(out byte[] header, out byte[] payload)
    {
        header = new byte[HeaderBytes];
        payload = [];
        int* room = stackalloc int[16];
        nint got;
        fixed (byte* start = header)
        {
            IoVec vector = new(start, HeaderBytes);
            msghdr head = new() { msg_iov = &vector, msg_iovlen = 1, msg_control = room, msg_controllen = 16 * sizeof(int) };
            got = Libc.recvmsg((int)_peer!.SafeHandle.DangerousGetHandle(), &head, LibcConstants.MSG_CMSG_CLOEXEC);
            if (got > 0)
                Keep(new ReadOnlySpan<byte>(room, (int)head.msg_controllen), BinaryPrimitives.ReadUInt32LittleEndian(header));
        }

        if (got != HeaderBytes)
            return false;
        payload = new byte[BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8))];
        for (int done = 0; done < payload.Length;)
        {
            int more = _peer.Receive(payload.AsSpan(done));
            if (more == 0)
                return false;
            done += more;
        }

        return true;
    }

    private void Keep(ReadOnlySpan<byte> control, uint request)
    {
        if (control.Length <= sizeof(cmsghdr))
            return;
        int length = (int)MemoryMarshal.Read<cmsghdr>(control).cmsg_len;
        foreach (int fd in MemoryMarshal.Cast<byte, int>(control[sizeof(cmsghdr)..length]))
        {
            if (Received.TryRemove(request, out FileDescriptor? before))
                before.Dispose();
            Received[request] = new FileDescriptor(fd);
        }
    }

    private void Answer(byte[] header, byte[] payload)
    {
        uint request = BinaryPrimitives.ReadUInt32LittleEndian(header);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4));
        if (request == SetStatus)
            _status = BinaryPrimitives.ReadUInt64LittleEndian(payload) & ~RefusedStatus;
        byte[]? answer = request switch
        {
            GetFeatures => Number(Features),
            GetProtocolFeatures => Number(_protocol),
            GetQueueNum => Number(Queues),
            GetMaxMemSlots => Number(MemorySlots),
            GetStatus => Number(_status),
            GetConfig => [.. payload[..HeaderBytes], .. ConfigSpace[..(payload.Length - HeaderBytes)]],
            SetLogBase => new byte[LogAnswerBytes],
            GetVringBase => payload,
            GetInflightFd => Inflight(payload),
            _ => (flags & 8) != 0 ? Number(request == Refused ? 1UL : 0) : null,
        };
        // Before it answers: whoever waits for the answer finds it here.
        Messages.Enqueue((request, payload));
        Heard.Enqueue((request, Word(payload, 0), Word(payload, 4)));
        if (answer is not null)
            Send(Rudeness?.Invoke(request) ?? Message(request, 5, answer), request == GetInflightFd ? InflightFile : Extra);
    }

    private void Send(byte[] bytes, FileDescriptor? descriptor)
    {
        if (bytes.Length == 0)
            return;
        byte* room = stackalloc byte[sizeof(cmsghdr) + MaxDescriptors * sizeof(int)];
        fixed (byte* start = bytes)
        {
            IoVec vector = new(start, (nuint)bytes.Length);
            msghdr head = new() { msg_iov = &vector, msg_iovlen = 1 };
            if (descriptor is not null)
            {
                int count = descriptor == Extra ? MaxDescriptors : 1;
                *(cmsghdr*)room = new cmsghdr { cmsg_len = (nuint)(sizeof(cmsghdr) + count * sizeof(int)), cmsg_level = LibcConstants.SOL_SOCKET, cmsg_type = LibcConstants.SCM_RIGHTS };
                new Span<int>(room + sizeof(cmsghdr), count).Fill(descriptor.Value);
                head.msg_control = room;
                head.msg_controllen = (nuint)(sizeof(cmsghdr) + (count + 1) / 2 * 2 * sizeof(int));
            }

            _ = Libc.sendmsg((int)_peer!.SafeHandle.DangerousGetHandle(), &head, LibcConstants.MSG_NOSIGNAL);
        }
    }

    private byte[] Inflight(byte[] payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, InflightBytes);
        return payload;
    }

    private static uint Word(byte[] payload, int at) => payload.Length >= at + 4 ? BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(at)) : 0;

    private static byte[] Number(ulong number)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
        return bytes;
    }
}
