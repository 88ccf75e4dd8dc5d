using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using static KvmSharp.TestKit.NetworkNamespace;

namespace KvmSharp.Backends.Tests.Net;

public sealed class TapBackendTests
{
    [Fact]
    public void Open_NewName_MakesTapAndRemovesItAtDispose() => Run(() =>
    {
        using (TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0", Mtu = 9000 }))
        {
            Assert.Equal("t0", tap.Name);
            Assert.Equal(9000, tap.Mtu);
            // The kernel may take a second to call it running.
            Assert.True(SpinWait.SpinUntil(() => tap.LinkUp, TimeSpan.FromSeconds(30)));
            Assert.Contains("mtu 9000", Ip("link show t0"), StringComparison.Ordinal);
        }

        Assert.DoesNotContain("t0", Ip("-o link show"), StringComparison.Ordinal);
    });

    [Fact]
    public void Open_NoName_PicksFreeNames() => Run(() =>
    {
        using TapBackend first = TapBackend.Open(new TapOptions());
        using TapBackend second = TapBackend.Open(new TapOptions { QueuePairs = 2 });
        Assert.Equal("kvmsharp0", first.Name);
        Assert.Equal("kvmsharp1", second.Name);
        Assert.Equal(2, second.QueuePairs);
    });

    [Theory]
    [InlineData("vnet_hdr", 1)]
    [InlineData("vnet_hdr multi_queue", 1)]
    [InlineData("vnet_hdr multi_queue", 4)]
    public void Open_PersistentTap_IsUsedAndLeftInPlace(string flags, int queuePairs) => Run(() =>
    {
        Ip($"tuntap add t0 mode tap {flags}");
        TapBackend.Open(new TapOptions { Name = "t0", QueuePairs = queuePairs }).Dispose();
        Assert.Contains("t0", Ip("-o link show"), StringComparison.Ordinal);
    });

    [Fact]
    public void SendReceive_TwoTapsOnABridge_PacketArrivesUnchanged() => Run(() =>
    {
        Ip("link add br0 mtu 4000 type bridge");
        Ip("link set br0 up");
        using TapBackend left = TapBackend.Open(new TapOptions { Name = "left", Bridge = "br0" });
        using TapBackend right = TapBackend.Open(new TapOptions { Name = "right", Bridge = "br0", QueuePairs = 2 });
        Assert.Equal(4000, right.Mtu);
        using INetQueue sender = left.OpenQueue(0);
        using INetQueue first = right.OpenQueue(0);
        using INetQueue second = right.OpenQueue(1);
        using NativeBuffer buffer = new(8192);
        Span<byte> frame = MakeFrame(buffer.Span);
        Assert.Equal(12 + frame.Length, sender.Send([buffer.Slice(0, 12), buffer.Slice(12, 14), buffer.Slice(26, frame.Length - 14)]));
        int length = ReceiveTestFrame([first, second], buffer.Slice(4096, 100), buffer.Slice(4196, 1900));
        Assert.Equal(12 + frame.Length, length);
        Assert.True(frame.SequenceEqual(buffer.Span.Slice(4096 + 12, frame.Length)));
        Assert.Equal(-1, buffer.Span.Slice(4096, 10).IndexOfAnyExcept((byte)0));
    });

    [Fact]
    public void Receive_NothingThere_IsEagain() => Run(() =>
    {
        Ip("link add br0 type bridge");
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        using INetQueue queue = tap.OpenQueue(0);
        using NativeBuffer buffer = new(4096);
        int result;
        do result = queue.Receive([buffer.Slice(0, 4096)]);
        while (result > 0);
        Assert.Equal(-LibcConstants.EAGAIN, result);
    });

    [Fact]
    public void Receive_TapDeletedUnderUs_FailsAndLinkIsDown() => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        using INetQueue queue = tap.OpenQueue(0);
        using NativeBuffer buffer = new(4096);
        Ip("link delete t0");
        Assert.True(queue.Receive([buffer.Slice(0, 4096)]) is < 0 and not (-LibcConstants.EAGAIN));
        Assert.True(queue.Send([buffer.Slice(0, 100)]) < 0);
        Assert.False(tap.LinkUp);
        Assert.Equal("tap t0 is gone", tap.Loss);

        // Not ours, though of that name. The kernel may take a second to call it running.
        Ip("tuntap add t0 mode tap");
        using TapBackend other = TapBackend.Open(new TapOptions { Name = "t0" });
        Assert.True(SpinWait.SpinUntil(() => other.LinkUp, TimeSpan.FromSeconds(30)));
        Assert.Null(other.Loss);
        Assert.False(tap.LinkUp);
    });

    [Fact]
    public void SetOffloads_AllSupported_AreTaken() => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        Assert.True(tap.SupportedOffloads.HasFlag(NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6 | NetOffloads.Uso4));
        Assert.True(tap.SetOffloads(tap.SupportedOffloads));
        Assert.True(tap.SetOffloads(NetOffloads.Ufo));
        Assert.True(tap.SetOffloads(NetOffloads.None));
    });

    [Fact]
    public void SetActiveQueuePairs_One_SteersEverythingToTheFirst() => Run(() =>
    {
        Ip("link add br0 type bridge");
        Ip("link set br0 up");
        using TapBackend left = TapBackend.Open(new TapOptions { Name = "left", Bridge = "br0" });
        using TapBackend right = TapBackend.Open(new TapOptions { Name = "right", Bridge = "br0", QueuePairs = 4 });
        using INetQueue sender = left.OpenQueue(0);
        using INetQueue first = right.OpenQueue(0);
        using NativeBuffer buffer = new(8192);
        Span<byte> frame = MakeFrame(buffer.Span);
        Assert.True(right.SetActiveQueuePairs(1));
        for (byte source = 0; source < 20; source++)
        {
            frame[11] = source;
            sender.Send([buffer.Slice(0, 612)]);
            Assert.Equal(612, ReceiveTestFrame([first], buffer.Slice(4096, 2000)));
        }

        Assert.True(right.SetActiveQueuePairs(4));
        Assert.True(right.SetActiveQueuePairs(4));
    });

    [Fact]
    public void OpenQueue_Twice_OnlyAfterDispose() => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        INetQueue queue = tap.OpenQueue(0);
        Assert.Throws<InvalidOperationException>(() => tap.OpenQueue(0));
        queue.Dispose();
        tap.OpenQueue(0).Dispose();
    });

    [Fact]
    public void Open_ByDescriptor_TakesItOver() => Run(() =>
    {
        using TapBackend maker = TapBackend.Open(new TapOptions { Name = "t0", QueuePairs = 2 });
        using INetQueue first = maker.OpenQueue(0);
        using INetQueue second = maker.OpenQueue(1);
        using TapBackend tap = TapBackend.Open(new TapOptions { Descriptors = [first.Poll.Duplicate(), second.Poll.Duplicate()] });
        Assert.Equal("t0", tap.Name);
        Assert.Equal(2, tap.QueuePairs);
    });

    [Fact]
    public void Open_DescriptorIsNoTap_SaysSo() => Run(() =>
        Assert.Contains("is not an open tap", OpenError(new TapOptions { Descriptors = [new EventFd()] }), StringComparison.Ordinal));

    [Theory]
    [InlineData("sixteen-bytes-xx", "is 16 bytes long")]
    [InlineData("a/b", "has a character")]
    [InlineData("t%d", "has a character")]
    [InlineData("", "is empty")]
    public void Open_BadName_SaysWhatIsWrong(string name, string expected) => Run(() =>
        Assert.Contains(expected, OpenError(new TapOptions { Name = name }), StringComparison.Ordinal));

    [Fact]
    public void Open_BridgeAbsent_SaysHowToMakeItAndLeavesNoTap() => Run(() =>
    {
        Assert.Equal("bridge br7 does not exist: make it with 'ip link add br7 type bridge' and 'ip link set br7 up'",
            OpenError(new TapOptions { Name = "t0", Bridge = "br7" }));
        Assert.DoesNotContain("t0", Ip("-o link show"), StringComparison.Ordinal);
    });

    [Fact]
    public void Open_BridgeIsNone_SaysSo() => Run(() =>
    {
        Ip("tuntap add other mode tap");
        Assert.Equal("interface other is not a bridge", OpenError(new TapOptions { Name = "t0", Bridge = "other" }));
    });

    [Fact]
    public void Open_TapInUse_SaysSo() => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        Assert.Equal("tap t0 is in use by another process: stop it, or use another name", OpenError(new TapOptions { Name = "t0" }));
    });

    [Fact]
    public void Open_ExistingInterfaceIsNoTap_SaysSo() => Run(() =>
        Assert.Equal("interface lo exists and is not a tap: use another name", OpenError(new TapOptions { Name = "lo" })));

    [Fact]
    public void Open_SingleQueueTapWithTwoQueues_SaysHowToMakeIt() => Run(() =>
    {
        Ip("tuntap add t0 mode tap vnet_hdr");
        Assert.Contains("is not a multiqueue tap", OpenError(new TapOptions { Name = "t0", QueuePairs = 2 }), StringComparison.Ordinal);
    });

    [Fact]
    public void Open_MtuOutOfRange_SaysSoAndLeavesNoTap() => Run(() =>
    {
        Assert.Contains("cannot set the MTU of tap t0 to 10", OpenError(new TapOptions { Name = "t0", Mtu = 10 }), StringComparison.Ordinal);
        Assert.DoesNotContain("t0", Ip("-o link show"), StringComparison.Ordinal);
    });

    [Fact]
    public void SendReceive_Steady_AllocatesNothing() => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0" });
        using INetQueue queue = tap.OpenQueue(0);
        using NativeBuffer buffer = new(8192);
        MakeFrame(buffer.Span);
        Span<IoVec> vectors = [buffer.Slice(0, 112)];
        for (int i = 0; i < 100; i++)
        {
            queue.Send(vectors);
            queue.Receive(vectors);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10000; i++)
        {
            queue.Send(vectors);
            queue.Receive(vectors);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    });

    private static string OpenError(TapOptions options)
    {
        string message = Assert.Throws<BackendException>(() => TapBackend.Open(options)).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    /// <summary>A broadcast frame of a type that nobody else sends, behind an empty header; the frame without header.</summary>
    private static Span<byte> MakeFrame(Span<byte> buffer)
    {
        buffer[..12].Clear();
        Span<byte> frame = buffer.Slice(12, 600);
        new Random(5).NextBytes(frame);
        frame[..6].Fill(0xff);
        frame[6] = 0x52;
        frame[12] = 0x88;
        frame[13] = 0xb5;
        return frame;
    }

    private static int ReceiveTestFrame(INetQueue[] queues, params IoVec[] to)
    {
        for (int attempt = 0; attempt < 2000; attempt++)
        {
            foreach (INetQueue queue in queues)
            {
                int length = queue.Receive(to);
                // The host's own neighbour discovery is of other types.
                if (length > 26 && to[0].Span[24] == 0x88 && to[0].Span[25] == 0xb5)
                    return length;
            }

            Thread.Sleep(1);
        }

        return -1;
    }
}
