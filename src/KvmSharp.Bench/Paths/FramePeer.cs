using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Bench.Paths;

/// <summary>
/// The other end of the guest's network while one workload runs: a packet socket on the tap whose thread sends frames back, or sends as
/// many as the tap takes. In the network namespace of the thread that makes it.
/// </summary>
internal sealed unsafe class FramePeer : IDisposable
{
    /// <summary>For local experiments (IEEE 802); the guest's frames have it.</summary>
    private const ushort EtherType = 0x88B5;

    private const int AddressBytes = 6, HeaderBytes = 14, MinFrameBytes = 64, BufferBytes = 2048;

    /// <summary>What the guest's frames begin with behind the header, see <c>enum action</c> of its workload.c.</summary>
    private const byte ReceiveAction = 5;

    private const string RoundTrip = "round-trip";
    private const int PollMs = 50, FullMs = 1, SilentPolls = 4;

    private readonly FileDescriptor _socket;
    private readonly Thread _thread;
    private volatile bool _stopping;

    /// <summary>Throws <see cref="BenchException"/> if it cannot be.</summary>
    public FramePeer(string tap, string work)
    {
        _socket = Open();
        try
        {
            Bind(tap);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }

        _thread = HostThread.Create("bench peer", ThreadRole.Io, work == RoundTrip ? Echo : Flood);
        _thread.Start();
    }

    /// <summary>Whether this process may have packet sockets.</summary>
    public static bool IsAllowed
    {
        get
        {
            int fd = Libc.socket(PacketConstants.AF_PACKET, PacketConstants.SOCK_RAW | NetConstants.SOCK_CLOEXEC, 0);
            if (fd < 0)
                return false;
            new FileDescriptor(fd).Dispose();
            return true;
        }
    }

    public void Dispose()
    {
        _stopping = true;
        _thread.Join();
        _socket.Dispose();
    }

    /// <summary>Receives nothing before it is bound.</summary>
    private static FileDescriptor Open()
    {
        int fd = Libc.socket(PacketConstants.AF_PACKET, PacketConstants.SOCK_RAW | NetConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        return fd >= 0 ? new FileDescriptor(fd) : throw Failure("cannot open a packet socket");
    }

    private void Bind(string tap)
    {
        uint index;
        fixed (byte* name = Encoding.UTF8.GetBytes(tap + '\0'))
            index = Libc.if_nametoindex(name);
        if (index == 0)
            throw Failure($"cannot answer the guest on {tap}");
        sockaddr_ll address = new()
        {
            sll_family = PacketConstants.AF_PACKET, sll_protocol = BinaryPrimitives.ReverseEndianness(EtherType), sll_ifindex = (int)index,
        };
        if (Libc.bind(_socket.Value, &address, (uint)sizeof(sockaddr_ll)) != 0)
            throw Failure($"cannot answer the guest on {tap}");
        // A full tap is then an error of the sender instead of a silent loss behind a queue.
        int bypass = 1;
        if (Libc.setsockopt(_socket.Value, PacketConstants.SOL_PACKET, PacketConstants.PACKET_QDISC_BYPASS, &bypass, sizeof(int)) != 0)
            throw Failure($"cannot send past the queue of {tap}");
    }

    /// <summary>After a while of silence the last frame goes out once more: the guest may wait for one that was lost.</summary>
    private void Echo()
    {
        byte* frame = stackalloc byte[BufferBytes];
        byte* address = stackalloc byte[AddressBytes];
        int last = 0, silent = 0;
        while (!_stopping)
        {
            int bytes = (int)Libc.read(_socket.Value, frame, BufferBytes);
            if (bytes >= HeaderBytes)
            {
                // SAFETY: both addresses lie inside the header.
                NativeMemory.Copy(frame, address, AddressBytes);
                NativeMemory.Copy(frame + AddressBytes, frame, AddressBytes);
                NativeMemory.Copy(address, frame + AddressBytes, AddressBytes);
                last = bytes;
                silent = 0;
            }
            else
            {
                pollfd item = new() { fd = _socket.Value, events = LibcConstants.POLLIN };
                if (Libc.poll(&item, 1, PollMs) != 0 || ++silent < SilentPolls || last == 0)
                    continue;
                silent = 0;
            }

            _ = Libc.write(_socket.Value, frame, (nuint)last);
        }
    }

    private void Flood()
    {
        byte* frame = stackalloc byte[MinFrameBytes];
        Span<byte> bytes = new(frame, MinFrameBytes);
        bytes.Clear();
        bytes[..AddressBytes].Fill(0xFF);
        bytes[AddressBytes] = 2; // locally administered
        BinaryPrimitives.WriteUInt16BigEndian(bytes[(2 * AddressBytes)..], EtherType);
        bytes[HeaderBytes] = ReceiveAction;
        while (!_stopping)
        {
            if (Libc.write(_socket.Value, frame, MinFrameBytes) < 0)
                _ = Libc.poll(null, 0, FullMs);
        }
    }

    private static BenchException Failure(string what) => new($"{what}: {Marshal.GetLastPInvokeErrorMessage()}");
}
