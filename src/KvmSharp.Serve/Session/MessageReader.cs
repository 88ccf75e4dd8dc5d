using System.Buffers.Binary;
using KvmSharp.Abi;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using static KvmSharp.Backends.Vhost.User.VhostUserMessage;

namespace KvmSharp.Serve.Session;

/// <summary>Takes a front end's messages off a non-blocking socket, one at a time, never more than one message's bytes and descriptors in memory.</summary>
internal sealed class MessageReader(FileDescriptor socket) : IDisposable
{
    private readonly byte[] _bytes = new byte[HeaderBytes + MaxPayloadBytes];
    private readonly List<FileDescriptor> _descriptors = new(MaxDescriptors);
    private int _have;

    public VhostUserRequest Request => (VhostUserRequest)Word(0);

    public bool NeedsReply => (Word(4) & NeedReply) != 0;

    public ReadOnlySpan<byte> Payload => _bytes.AsSpan(HeaderBytes, PayloadLength);

    public int DescriptorCount => _descriptors.Count;

    private int PayloadLength => (int)Word(8);

    /// <summary>True: a message is there, until the next call. False: not yet. Throws <see cref="ProtocolException"/>, also at the end of the connection.</summary>
    public bool TryRead()
    {
        int length = _have < HeaderBytes ? HeaderBytes : HeaderBytes + PayloadLength;
        if (_have == length)
        {
            Clear();
            length = HeaderBytes;
        }

        while (true)
        {
            // Never beyond this message: the next one's descriptors come with its first byte.
            if (_have < length)
            {
                nint got = VhostUserWire.Receive(socket, _bytes.AsSpan(_have, length - _have), _descriptors, MaxDescriptors);
                if (got == -LibcConstants.EAGAIN)
                    return false;
                if (got <= 0)
                    throw new ProtocolException(got == 0 || got == -LibcConstants.ECONNRESET ? "the front end has gone" : $"the connection failed with error {-got}");
                _have += (int)got;
            }

            if (_have < length)
                continue;
            if (length > HeaderBytes || CheckHeader() == 0)
                return true;
            length = HeaderBytes + PayloadLength;
        }
    }

    /// <summary>Takes the next of the message's descriptors; the caller owns it. Those that nobody takes are closed.</summary>
    public FileDescriptor TakeDescriptor()
    {
        if (_descriptors.Count == 0)
            throw new ProtocolException($"{Request}: a descriptor is missing");
        FileDescriptor taken = _descriptors[0];
        _descriptors.RemoveAt(0);
        return taken;
    }

    public void Dispose() => Clear();

    private int CheckHeader()
    {
        if ((Word(4) & (VersionMask | Reply)) != ProtocolVersion)
            throw new ProtocolException($"message {Word(0)} has flags 0x{Word(4):x}");
        if (Word(8) > MaxPayloadBytes)
            throw new ProtocolException($"message {Word(0)} has {Word(8)} bytes");
        return PayloadLength;
    }

    private void Clear()
    {
        _have = 0;
        foreach (FileDescriptor descriptor in _descriptors)
            descriptor.Dispose();
        _descriptors.Clear();
    }

    private uint Word(int at) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(at));
}
