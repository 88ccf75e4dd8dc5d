using System.Collections.Concurrent;
using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.TestKit.Net;

/// <summary>One queue pair of a <see cref="FakeNetBackend"/>.</summary>
public sealed class FakeNetQueue : INetQueue
{
    private readonly ConcurrentQueue<byte[]> _toDevice = new();
    private readonly EventFd _arrived = new();
    private int _refusals;

    public FileDescriptor Poll => _arrived;

    /// <summary>What the device sent, with headers.</summary>
    public BlockingCollection<byte[]> Sent { get; } = [];

    /// <summary>Opened and not disposed.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>A packet arrives for the device.</summary>
    public void Arrive(byte[] packet)
    {
        _toDevice.Enqueue(packet);
        _arrived.Signal();
    }

    /// <summary>The next sends find no room, until <see cref="MakeRoom"/>.</summary>
    public void RefuseSends() => Volatile.Write(ref _refusals, 1);

    public void MakeRoom()
    {
        Volatile.Write(ref _refusals, 0);
        _arrived.Signal();
    }

    public int Receive(ReadOnlySpan<IoVec> to)
    {
        if (!_toDevice.TryDequeue(out byte[]? packet))
            return -LibcConstants.EAGAIN;
        return IoVecCopy.CopyFrom(to, 0, packet);
    }

    public int Send(ReadOnlySpan<IoVec> from)
    {
        if (Volatile.Read(ref _refusals) != 0)
            return -LibcConstants.EAGAIN;
        byte[] packet = new byte[0x1_1000];
        int length = IoVecCopy.CopyTo(from, 0, packet);
        Sent.Add(packet[..length]);
        return length;
    }

    public void Dispose() => IsOpen = false;

    internal FakeNetQueue Open()
    {
        IsOpen = !IsOpen ? true : throw new InvalidOperationException("opened twice");
        return this;
    }

    internal void Close()
    {
        _arrived.Dispose();
        Sent.Dispose();
    }
}
