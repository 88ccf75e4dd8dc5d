using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KvmSharp.TestKit;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>Sends and receives frames of <see cref="EtherType"/> at the host's end of a tap in the calling thread's network namespace (packet(7)).</summary>
internal sealed class PacketSocket : IDisposable
{
    /// <summary>For local experiments.</summary>
    internal const ushort EtherType = 0x88B5;

    private const int ReceiveTimeoutMs = 15_000;

    private readonly Socket _socket = new(AddressFamily.Packet, SocketType.Raw, (ProtocolType)BinaryPrimitives.ReverseEndianness(EtherType));

    internal PacketSocket(string device)
    {
        string listed = NetworkNamespace.Ip($"-o link show {device}");
        int index = int.Parse(listed.AsSpan(0, listed.IndexOf(':', StringComparison.Ordinal)), CultureInfo.InvariantCulture);
        _socket.ReceiveTimeout = ReceiveTimeoutMs;
        _socket.Bind(new LinkEndPoint(index));
    }

    public void Dispose() => _socket.Dispose();

    internal void Send(ReadOnlySpan<byte> frame) => Assert.Equal(frame.Length, _socket.Send(frame));

    internal int Receive(Span<byte> frame) => _socket.Receive(frame);

    /// <summary>struct sockaddr_ll with protocol and interface.</summary>
    private sealed class LinkEndPoint(int index) : EndPoint
    {
        private const int AddressLength = 20;

        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            var address = new SocketAddress(AddressFamily.Packet, AddressLength);
            BinaryPrimitives.WriteUInt16BigEndian(address.Buffer.Span[2..], EtherType);
            BinaryPrimitives.WriteInt32LittleEndian(address.Buffer.Span[4..], index);
            return address;
        }
    }
}
