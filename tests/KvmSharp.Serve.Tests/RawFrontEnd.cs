using System.Buffers.Binary;
using System.Net.Sockets;

namespace KvmSharp.Serve.Tests;

/// <summary>Says anything to a back end, true or not. No descriptors.</summary>
internal sealed class RawFrontEnd : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };

    public RawFrontEnd(string path) => _socket.Connect(new UnixDomainSocketEndPoint(path));

    public void Say(uint request, params byte[] payload) => Say(request, flags: 1, (uint)payload.Length, payload);

    public void Say(uint request, uint flags, uint length, byte[] payload)
    {
        byte[] message = new byte[12 + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(message, request);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), length);
        payload.CopyTo(message, 12);
        _socket.Send(message);
    }

    /// <summary>The payload of the next answer; null: hung up.</summary>
    public byte[]? Hear()
    {
        byte[] head = new byte[12];
        if (!Receive(head))
            return null;
        byte[] payload = new byte[BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(8))];
        return Receive(payload) ? payload : null;
    }

    public void Dispose() => _socket.Dispose();

    private bool Receive(byte[] into)
    {
        for (int done = 0; done < into.Length;)
        {
            try
            {
                int got = _socket.Receive(into.AsSpan(done));
                if (got == 0)
                    return false;
                done += got;
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionReset)
            {
                return false;
            }
        }

        return true;
    }
}
