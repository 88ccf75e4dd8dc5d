using System.Buffers.Binary;
using System.Net.Sockets;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.TestKit.Vhost;
using static KvmSharp.TestKit.Vhost.FakeVhostUserBackend;

namespace KvmSharp.Backends.Tests.Vhost;

/// <summary>What a back end may ask of us, and all that it may not.</summary>
public sealed class VhostUserChannelTests : IDisposable
{
    private const uint ConfigChange = 2, HostNotifier = 3, NeedReply = 8;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-vhost-user-");
    private readonly FakeVhostUserBackend _peer;
    private readonly VhostUserBackend _backend;
    private readonly Socket _end;

    public VhostUserChannelTests()
    {
        string path = Path.Combine(_folder.FullName, "s");
        _peer = new FakeVhostUserBackend(path, 0, ReplyAck | BackendReq | Config);
        _backend = VhostUserBackend.Connect(path, VhostUserOptions.Disk(16));
        _peer.WaitFor(SetBackendReqFd);
        FileDescriptor end = _peer.Received[SetBackendReqFd].Duplicate();
        _end = new Socket(new SafeSocketHandle(end.DangerousGetHandle(), ownsHandle: true)) { ReceiveTimeout = 5000 };
        end.SetHandleAsInvalid();
    }

    private VhostUserChannel Channel => _backend.Channel!;

    public void Dispose()
    {
        _end.Dispose();
        _backend.Dispose();
        _peer.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void TryServe_NothingWasSaid_ReturnsAtOnce()
    {
        Assert.True(Channel.TryServe(out bool changed));
        Assert.False(changed);
    }

    [Fact]
    public void TryServe_ConfigChange_IsPassedOnAndAnsweredIfAsked()
    {
        _end.Send(Message(ConfigChange, 1, []));
        Assert.True(Channel.TryServe(out bool changed));
        Assert.True(changed);

        _end.Send(Message(ConfigChange, 1 | NeedReply, []));
        Assert.True(Channel.TryServe(out changed));
        Assert.True(changed);
        Assert.Equal((ConfigChange, 5u, 0UL), Answer());
    }

    [Fact]
    public void TryServe_InPieces_IsPutTogether()
    {
        byte[] message = Message(HostNotifier, 1 | NeedReply, new byte[24]);
        foreach (byte piece in message)
        {
            _end.Send([piece]);
            Assert.True(Channel.TryServe(out bool changed));
            Assert.False(changed);
        }

        Assert.Equal((HostNotifier, 5u, 1UL), Answer());
    }

    [Theory]
    [InlineData(1u, 0)] // IOTLB
    [InlineData(HostNotifier, 24)]
    [InlineData(0xFFFF_FFFFu, 512)]
    public void TryServe_WhatItMayNotAsk_IsRefused(uint request, int length)
    {
        _end.Send(Message(request, 1 | NeedReply, new byte[length]));

        Assert.True(Channel.TryServe(out bool changed));

        Assert.False(changed);
        Assert.Equal((request, 5u, 1UL), Answer());
    }

    [Theory]
    [InlineData(2u, 1u, uint.MaxValue)]
    [InlineData(2u, 1u, 513u)]
    [InlineData(2u, 2u, 0u)]
    [InlineData(2u, 5u, 0u)]
    public void TryServe_NotTheProtocol_EndsTheChannel(uint request, uint flags, uint length)
    {
        _end.Send(Message(request, flags, [], length));

        Assert.False(Channel.TryServe(out bool changed));
        Assert.False(changed);
    }

    [Fact]
    public void TryServe_HangUp_EndsTheChannel()
    {
        _end.Shutdown(SocketShutdown.Both);

        Assert.False(Channel.TryServe(out _));
    }

    /// <summary>It does not get a thread of ours by talking without end, nor by never reading its answers.</summary>
    [Fact]
    public void TryServe_FloodThatIsNeverRead_IsBoundedAndEnds()
    {
        byte[] message = Message(ConfigChange, 1 | NeedReply, []);
        _end.SendTimeout = 100;
        int turns = 0;
        bool alive = true;
        while (alive && turns++ < 100_000)
        {
            for (int i = 0; i < 64 && alive; i++)
                _end.Send(message);
            alive = Channel.TryServe(out _);
            for (int i = 0; i < 4 && alive; i++)
                alive = Channel.TryServe(out _);
        }

        Assert.False(alive);
    }

    private (uint Request, uint Flags, ulong Number) Answer()
    {
        byte[] answer = new byte[20];
        for (int done = 0; done < answer.Length;)
            done += _end.Receive(answer.AsSpan(done));
        return (BinaryPrimitives.ReadUInt32LittleEndian(answer), BinaryPrimitives.ReadUInt32LittleEndian(answer.AsSpan(4)), BinaryPrimitives.ReadUInt64LittleEndian(answer.AsSpan(12)));
    }
}
