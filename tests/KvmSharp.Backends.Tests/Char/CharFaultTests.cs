using System.IO.Pipes;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Backends.Char;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Tests.Char;

/// <summary>What a host seldom does to a console: interrupted, refused, short and failing calls. The table of docs/reliability.md names these tests.</summary>
public sealed class CharFaultTests : IDisposable
{
    private const int TimeoutMs = 20_000, Eintr = -LibcConstants.EINTR, Eagain = -LibcConstants.EAGAIN, Eio = -LibcConstants.EIO, Enomem = -LibcConstants.ENOMEM, ConnectionAborted = -103;

    /// <summary>Calls in the half second that a test watches: a console that rests makes some dozens, a loop some hundred thousands.</summary>
    private const int WatchMs = 500, FewCalls = 400;

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-char-").FullName;
    private readonly AnonymousPipeServerStream _toUser = new(PipeDirection.Out), _toGuest = new(PipeDirection.Out);
    private readonly RecordingFrontend _frontend = new();

    public void Dispose()
    {
        _toUser.Dispose();
        _toGuest.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Output_InterruptedBusyAndShort_NothingIsLost()
    {
        FaultyCalls calls = new() { Writes = new([Eintr, 3, Eagain, 1, .. Enumerable.Repeat(Eintr, 200), 7, Enomem, .. Enumerable.Repeat(Eagain, 5), 2, Eintr, Eintr]) };
        byte[] sent = Noise(200_000), got = new byte[sent.Length];
        using CharPump pump = Started(calls);
        Thread reading = InBackground(() => ReadUser(got));

        for (int at = 0; at < sent.Length; at += 1000)
            pump.Write(sent.AsSpan(at, 1000));

        Assert.True(reading.Join(TimeoutMs));
        Assert.Equal(sent, got);
        Assert.Equal(0, pump.DroppedBytes);
    }

    [Fact]
    public void Output_InterruptedWhileAWriterWaits_NothingIsLost()
    {
        FaultyCalls calls = new() { Writes = new([Eagain, Eintr, 5, Eagain]), Polls = new([Eintr, Enomem, Eintr]) };
        byte[] sent = Noise(300_000), got = new byte[sent.Length];
        using CharPump pump = Started(calls);
        Thread reading = InBackground(() => ReadUser(got));

        int taken = 0;
        while (taken < sent.Length)
        {
            int now = pump.TryWrite(sent.AsSpan(taken));
            taken += now;
            Assert.True(now > 0 || _frontend.WaitForEvent(CharEvent.Writable));
        }

        Assert.True(reading.Join(TimeoutMs));
        Assert.Equal(sent, got);
        Assert.Equal(0, pump.DroppedBytes);
    }

    [Fact]
    public void Input_InterruptedBusyShortAndFailing_NothingIsLost()
    {
        FaultyCalls calls = new() { Reads = new([Eintr, 1, Eagain, 2, .. Enumerable.Repeat(Eagain, 20), Eio, 1, Enomem, 3]), Polls = new([Eintr, Eintr, Enomem]) };
        using CharPump pump = Started(calls);

        _toGuest.Write("every key counts"u8);

        Assert.True(_frontend.WaitFor("every key counts"));
        Assert.Empty(calls.Reads);
    }

    [Fact]
    public void Input_FailsForGood_EndsAndOutputGoesOn()
    {
        FaultyCalls calls = new() { AllReads = Eio };
        using CharPump pump = Started(calls);
        _toGuest.Write("x"u8);
        Thread.Sleep(WatchMs);
        Assert.InRange(calls.Count, 0, FewCalls);

        pump.Write("out"u8);

        Assert.Equal("out", ReadUser(3));
        Assert.Empty(_frontend.Text);
    }

    [Theory]
    [InlineData(-LibcConstants.EIO)]
    [InlineData(-LibcConstants.ENOSPC)]
    [InlineData(-LibcConstants.EDQUOT)]
    [InlineData(-LibcConstants.EFBIG)]
    public void Output_FailsOnce_TheseBytesAreCountedAndTheNextGoOut(int error)
    {
        FaultyCalls calls = new() { Writes = new([2, error]) };
        using CharPump pump = Started(calls);

        pump.Write("abcde"u8);
        pump.Write("next"u8);

        Assert.Equal("abnext", ReadUser(6));
        Assert.Equal(3, pump.DroppedBytes);
    }

    [Fact]
    public void Output_ReaderIsGone_IsCountedOnceAndInputGoesOn()
    {
        FaultyCalls calls = new() { Writes = new([2, Eagain, 1, -LibcConstants.EPIPE]) };
        using CharPump pump = Started(calls);

        Assert.Equal(6, pump.TryWrite("abcdef"u8));
        Assert.True(SpinWait.SpinUntil(() => pump.DroppedBytes > 0, TimeoutMs));
        pump.Write("gh"u8);
        _toGuest.Write("in"u8);

        Assert.True(_frontend.WaitFor("in"));
        Assert.Equal(5, pump.DroppedBytes);
        Assert.Empty(calls.Writes);
    }

    [Theory]
    [InlineData(-LibcConstants.EAGAIN)]
    [InlineData(-LibcConstants.EINTR)]
    [InlineData(-LibcConstants.ENOMEM)]
    public void Output_NeverTaken_RestsBetweenTriesAndGoesOn(int error)
    {
        FaultyCalls calls = new() { AllWrites = error };
        using CharPump pump = Started(calls);
        pump.Write("late"u8);

        Thread.Sleep(WatchMs);

        // An interrupted write is tried again at once, up to 64 times.
        Assert.InRange(calls.Count, 0, error == Eintr ? 64 * FewCalls : FewCalls);
        calls.AllWrites = 0;
        Assert.Equal("late", ReadUser(4));
        Assert.Equal(0, pump.DroppedBytes);
    }

    [Theory]
    [InlineData(-LibcConstants.EAGAIN)]
    [InlineData(-LibcConstants.EINTR)]
    public void Input_NeverGiven_RestsBetweenTriesAndGoesOn(int error)
    {
        FaultyCalls calls = new() { AllReads = error };
        using CharPump pump = Started(calls);
        _toGuest.Write("late"u8);

        Thread.Sleep(WatchMs);

        Assert.InRange(calls.Count, 0, FewCalls);
        calls.AllReads = 0;
        Assert.True(_frontend.WaitFor("late"));
    }

    [Theory]
    [InlineData(-LibcConstants.EINTR)]
    [InlineData(-LibcConstants.ENOMEM)]
    public void Poll_NeverWorks_RestsBetweenTriesAndGoesOn(int error)
    {
        FaultyCalls calls = new() { AllPolls = error };
        using CharPump pump = Started(calls);
        _toGuest.Write("late"u8);

        Thread.Sleep(WatchMs);

        Assert.InRange(calls.Count, 0, FewCalls);
        calls.AllPolls = 0;
        Assert.True(_frontend.WaitFor("late"));
    }

    [Fact]
    public void Accept_InterruptedAbortedAndRefused_ClientIsServed()
    {
        FaultyCalls calls = new() { Accepts = new([Eintr, Eagain, ConnectionAborted, -LibcConstants.EMFILE, Enomem, Eintr]) };
        using var listener = new UnixListener(Path.Combine(_folder, "s"));
        using CharPump pump = Listening(listener, calls);

        using Socket client = Connect(listener.Path);
        client.Send("hello"u8);

        Assert.True(_frontend.WaitFor("hello"));
        Assert.Empty(calls.Accepts);
    }

    [Theory]
    [InlineData(-LibcConstants.EAGAIN)]
    [InlineData(-LibcConstants.EMFILE)]
    public void Accept_NeverWorks_RestsBetweenTriesAndGoesOn(int error)
    {
        FaultyCalls calls = new() { AllAccepts = error };
        using var listener = new UnixListener(Path.Combine(_folder, "s"));
        using CharPump pump = Listening(listener, calls);
        using Socket client = Connect(listener.Path);
        client.Send("late"u8);

        Thread.Sleep(WatchMs);

        Assert.InRange(calls.Count, 0, FewCalls);
        calls.AllAccepts = 0;
        Assert.True(_frontend.WaitFor("late"));
    }

    [Fact]
    public void Unix_TransfersAreInterruptedAndShort_NothingIsLost()
    {
        int[] faults = [Eintr, 1, Eagain, 3, Eintr, Eintr, 2];
        FaultyCalls calls = new() { Reads = new(faults), Writes = new(faults), Polls = new([Eintr, Enomem]) };
        using var listener = new UnixListener(Path.Combine(_folder, "s"));
        using CharPump pump = Listening(listener, calls);
        using Socket client = Connect(listener.Path);
        client.Send("from the client"u8);
        Assert.True(_frontend.WaitFor("from the client"));

        pump.Write("from the guest"u8);

        Assert.Equal("from the guest", Receive(client, 14));
        Assert.Equal(0, pump.DroppedBytes);
    }

    [Fact]
    public void Unix_WriteFails_ClientSeesNoGapButTheEndAndTheNextIsServed()
    {
        FaultyCalls calls = new() { Writes = new([2, Eio]) };
        using var listener = new UnixListener(Path.Combine(_folder, "s"));
        using CharPump pump = Listening(listener, calls);
        using (Socket first = Connect(listener.Path))
        {
            Assert.True(_frontend.WaitForEvent(CharEvent.Connected));
            pump.Write("abcd"u8);
            pump.Write("efgh"u8);
            Assert.Equal("ab", Receive(first, 2));
            Assert.Equal(0, first.Receive(new byte[8]));
        }

        Assert.True(_frontend.WaitForEvent(CharEvent.Disconnected));
        using Socket second = Connect(listener.Path);
        Assert.True(_frontend.WaitForEvent(CharEvent.Connected));
        pump.Write("again"u8);

        Assert.Equal("again", Receive(second, 5));
    }

    [Fact]
    public void Unix_ReadFails_ClientIsHungUpAndTheNextIsServed()
    {
        FaultyCalls calls = new() { Reads = new([Eio]) };
        using var listener = new UnixListener(Path.Combine(_folder, "s"));
        using CharPump pump = Listening(listener, calls);
        using (Socket first = Connect(listener.Path))
        {
            first.Send("x"u8);
            Assert.True(_frontend.WaitForEvent(CharEvent.Disconnected));
        }

        using Socket second = Connect(listener.Path);
        second.Send("y"u8);

        Assert.True(_frontend.WaitFor("y"));
    }

    [Fact]
    public void Dispose_WaitsAreInterrupted_WhatIsQueuedGoesOut()
    {
        FaultyCalls calls = new() { AllWrites = Eagain };
        byte[] got = new byte[30_000], sent = Noise(got.Length);
        CharPump pump = Started(calls);
        pump.Write(sent);
        calls.Polls.Enqueue(Eintr);
        for (int i = 0; i < 50; i++)
            calls.Writes.Enqueue(i % 2 == 0 ? Eintr : 100);
        calls.AllWrites = 0;
        for (int i = 0; i < 20; i++)
            calls.Polls.Enqueue(Eintr);

        pump.Dispose();

        ReadUser(got);
        Assert.Equal(sent, got);
        Assert.Equal(0, pump.DroppedBytes);
    }

    [Fact]
    public void Dispose_OutputNeverTaken_EndsAllTheSame()
    {
        CharPump pump = Started(new FaultyCalls { AllWrites = Eagain });
        pump.Write("nobody takes this"u8);

        Assert.True(InBackground(pump.Dispose).Join(TimeoutMs));
    }

    [Fact]
    public void File_InterruptedBusyAndShort_NothingIsLost()
    {
        FaultyCalls calls = new() { Writes = new([Eintr, 1, Eagain, 2, .. Enumerable.Repeat(Eintr, 60)]), Polls = new([Eintr]) };
        string path = Path.Combine(_folder, "log");
        using (var backend = new FileBackend(path, calls))
        {
            backend.Write("abcdef"u8);
            Assert.Equal(0, backend.DroppedBytes);
        }

        Assert.Equal("abcdef", File.ReadAllText(path));
    }

    [Fact]
    public void File_FailsForAWhile_DropsCountsAndGoesOn()
    {
        FaultyCalls calls = new() { Writes = new([-LibcConstants.ENOSPC, Eio]) };
        string path = Path.Combine(_folder, "log");
        using (var backend = new FileBackend(path, calls))
        {
            backend.Write("ab"u8);
            backend.Write("cde"u8);
            backend.Write("fg"u8);
            Assert.Equal(5, backend.DroppedBytes);
        }

        Assert.Equal("fg", File.ReadAllText(path));
    }

    private static byte[] Noise(int count)
    {
        byte[] bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }

    private static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = TimeoutMs };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static string Receive(Socket client, int count)
    {
        byte[] bytes = new byte[count];
        int got = 0;
        for (int now; got < count && (now = client.Receive(bytes, got, count - got, SocketFlags.None)) > 0;)
            got += now;
        return Encoding.ASCII.GetString(bytes, 0, got);
    }

    private static Thread InBackground(ThreadStart work)
    {
        Thread thread = HostThread.Create("test helper", ThreadRole.Runtime, work);
        thread.Start();
        return thread;
    }

    private static FileDescriptor Duplicate(SafeHandle handle)
    {
        int copy = Libc.fcntl((int)handle.DangerousGetHandle(), LibcConstants.F_DUPFD_CLOEXEC, 0);
        return copy >= 0 ? new FileDescriptor(copy) : throw LinuxException.FromLastError("fcntl F_DUPFD_CLOEXEC");
    }

    /// <summary>A console on two pipes.</summary>
    private CharPump Started(FaultyCalls calls)
    {
        FileDescriptor output = Duplicate(_toUser.SafePipeHandle);
        Assert.Equal(0, Libc.fcntl(output.Value, LibcConstants.F_SETFL, LibcConstants.O_WRONLY | LibcConstants.O_NONBLOCK));
        var pump = new CharPump("char-test", Duplicate(_toGuest.ClientSafePipeHandle), new CharOutput(output, nonBlocking: true, calls), calls: calls);
        pump.Start(_frontend);
        return pump;
    }

    private CharPump Listening(UnixListener listener, FaultyCalls calls)
    {
        var pump = new CharPump("char-test", null, null, listener.File, calls: calls);
        pump.Start(_frontend);
        return pump;
    }

    private string ReadUser(int count)
    {
        byte[] bytes = new byte[count];
        ReadUser(bytes);
        return Encoding.ASCII.GetString(bytes);
    }

    private unsafe void ReadUser(byte[] to)
    {
        for (int got = 0; got < to.Length;)
        {
            fixed (byte* p = &to[got])
            {
                nint now = Libc.read((int)_toUser.ClientSafePipeHandle.DangerousGetHandle(), p, (nuint)(to.Length - got));
                if (now <= 0)
                    return; // the test has failed already
                got += (int)now;
            }
        }
    }
}
