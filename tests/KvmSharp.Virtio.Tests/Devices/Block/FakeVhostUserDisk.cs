using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>A vhost-user back end that agrees to everything and serves nothing; one connection.</summary>
internal sealed class FakeVhostUserDisk : IDisposable
{
    private const int HeaderBytes = 12;
    private const uint GetVringBase = 11, GetConfig = 24;

    private readonly string _path;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Thread _thread;
    private Socket? _peer;

    public FakeVhostUserDisk(string path, ulong features)
    {
        _path = path;
        Features = features | 1UL << 30 | VirtioFeatures.Version1;
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
        _thread = new Thread(Serve) { Name = "fake-disk" };
        _thread.Start();
    }

    public ulong Features { get; }

    /// <summary>What was said to it: request and first words of the payload.</summary>
    public ConcurrentQueue<(uint Request, uint First, uint Second)> Heard { get; } = new();

    public void Dispose()
    {
        _listener.Dispose();
        _peer?.Dispose();
        _thread.Join();
        File.Delete(_path);
    }

    private void Serve()
    {
        try
        {
            _peer = _listener.Accept();
            byte[] header = new byte[HeaderBytes];
            while (Receive(header))
            {
                byte[] payload = new byte[BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8))];
                if (!Receive(payload))
                    return;
                Answer(header, payload);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private bool Receive(byte[] into)
    {
        for (int done = 0; done < into.Length;)
        {
            int got = _peer!.Receive(into.AsSpan(done));
            if (got == 0)
                return false;
            done += got;
        }

        return true;
    }

    private void Answer(byte[] header, byte[] payload)
    {
        uint request = BinaryPrimitives.ReadUInt32LittleEndian(header);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(4));
        Heard.Enqueue((request, Word(payload, 0), Word(payload, 4)));
        byte[]? answer = request switch
        {
            1 => Number(Features),
            15 => Number(1 << 0 | 1 << 3 | 1 << 9),
            17 => Number(2),
            GetVringBase or GetConfig => payload,
            _ => (flags & 8) != 0 ? Number(0) : null,
        };
        if (answer is null)
            return;
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(4), 5);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), (uint)answer.Length);
        _peer!.Send([.. header, .. answer]);
    }

    private static uint Word(byte[] payload, int at) => payload.Length >= at + 4 ? BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(at)) : 0;

    private static byte[] Number(ulong number)
    {
        byte[] bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
        return bytes;
    }
}
