using System.Net.Sockets;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Backends.Char;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Tests.Char;

public sealed unsafe class CharBackendTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-char-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void EscapeFilter_KeysAcrossReads_AreTakenOut()
    {
        var commands = new List<ConsoleCommand>();
        var filter = new EscapeFilter(commands.Add);
        byte[] first = "ab\u0001"u8.ToArray();
        byte[] second = "hc\u0001\u0001d\u0001ae\u0001zf\u0001p\u0001x"u8.ToArray();

        int firstLength = filter.Filter(first);
        int secondLength = filter.Filter(second);

        Assert.Equal("ab", Encoding.ASCII.GetString(first, 0, firstLength));
        Assert.Equal("c\u0001d\u0001ef", Encoding.ASCII.GetString(second, 0, secondLength));
        Assert.Equal([ConsoleCommand.Help, ConsoleCommand.PowerButton, ConsoleCommand.Quit], commands);
    }

    [Fact]
    public void ByteRing_WrapAround_KeepsOrder()
    {
        var ring = new ByteRing(4);
        Assert.Equal(3, ring.Enqueue([1, 2, 3]));
        ring.Discard(2);

        Assert.Equal(3, ring.Enqueue([4, 5, 6, 7]));

        Assert.Equal([3, 4], ring.Front.ToArray());
        ring.Discard(2);
        Assert.Equal([5, 6], ring.Front.ToArray());
    }

    [Fact]
    public void File_Write_TruncatesAndAppends()
    {
        string path = Path.Combine(_folder, "out");
        File.WriteAllText(path, "something old");
        using (var backend = new FileBackend(path))
        {
            backend.Write("a"u8);
            backend.Write("bc"u8);
        }

        Assert.Equal("abc", File.ReadAllText(path));
    }

    [Fact]
    public void File_Full_DropsAndCounts()
    {
        using var backend = new FileBackend("/dev/full");

        backend.Write("abc"u8);

        Assert.Equal(3, backend.DroppedBytes);
    }

    [Fact]
    public void File_Directory_IsRefused() =>
        Assert.Equal($"cannot write {_folder}: Is a directory", Assert.Throws<BackendException>(() => new FileBackend(_folder)).Message);

    [Fact]
    public void Pty_BothWays_Passes()
    {
        using var backend = new PtyBackend();
        var frontend = new RecordingFrontend();
        backend.Start(frontend);
        using FileDescriptor client = FileDescriptor.Open(backend.Path, LibcConstants.O_RDWR | LibcConstants.O_NOCTTY);

        backend.Write("out\n"u8);
        byte* buffer = stackalloc byte[16];
        nint count = Libc.read(client.Value, buffer, 16);
        *(uint*)buffer = 0x0A03_6E69;
        Libc.write(client.Value, buffer, 4);

        Assert.Equal(4, count);
        Assert.True(frontend.WaitFor("in\u0003\n"));
    }

    [Fact]
    public void Pty_NobodyReads_NeverBlocksAndCounts()
    {
        using var backend = new PtyBackend();
        backend.Start(new RecordingFrontend());
        byte[] block = new byte[64 * 1024];

        for (int i = 0; i < 8; i++)
            backend.Write(block);

        Assert.True(backend.DroppedBytes > 0);
    }

    [Fact]
    public void Unix_ClientsOneAfterAnother_AreServed()
    {
        string path = Path.Combine(_folder, "s");
        var backend = new UnixSocketBackend(path);
        var frontend = new RecordingFrontend();
        backend.Start(frontend);
        backend.Write("nobody hears this"u8);
        using (Socket first = Connect(path))
        {
            first.Send("one"u8);
            Assert.True(frontend.WaitFor("one"));
        }

        using Socket second = Connect(path);
        second.Send("two"u8);
        Assert.True(frontend.WaitFor("onetwo"));
        backend.Write("answer"u8);
        byte[] answer = new byte[16];
        int count = second.Receive(answer);
        backend.Dispose();

        Assert.Equal("answer", Encoding.ASCII.GetString(answer, 0, count));
        Assert.Equal(17, backend.DroppedBytes);
        Assert.False(File.Exists(path));
    }

    [Fact]
    public void Unix_StaleSocket_IsTakenOver()
    {
        string path = Path.Combine(_folder, "s");
        using (var stale = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // The framework removes the file of a socket it bound; a hard link keeps one.
            stale.Bind(new UnixDomainSocketEndPoint(path + "0"));
            Assert.Equal(0, Link(path + "0", path));
        }

        using var backend = new UnixSocketBackend(path);

        Assert.True(File.Exists(path));
    }

    [Fact]
    public void Unix_LiveSocket_IsRefused()
    {
        string path = Path.Combine(_folder, "s");
        using var first = new UnixSocketBackend(path);

        Assert.Contains("another process listens", Assert.Throws<BackendException>(() => new UnixSocketBackend(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unix_RegularFile_IsRefusedAndStays()
    {
        string path = Path.Combine(_folder, "s");
        File.WriteAllText(path, "x");

        Assert.Throws<BackendException>(() => new UnixSocketBackend(path));

        Assert.Equal("x", File.ReadAllText(path));
    }

    [Fact]
    public void Unix_FrontendFull_WaitsUntilItHasRoom()
    {
        string path = Path.Combine(_folder, "s");
        using var backend = new UnixSocketBackend(path);
        var frontend = new RecordingFrontend { Room = 2 };
        backend.Start(frontend);
        using Socket client = Connect(path);
        client.Send("abcd"u8);
        Assert.True(frontend.WaitFor("ab"));
        Thread.Sleep(20);
        Assert.Equal("ab", frontend.Text);

        frontend.Room = 2;
        backend.OnFrontendReady();

        Assert.True(frontend.WaitFor("abcd"));
    }

    [Fact]
    public void Unix_ReaderStopsAndGoesOn_LosesNothingThatTryWriteTook()
    {
        string path = Path.Combine(_folder, "s");
        using var backend = new UnixSocketBackend(path);
        var frontend = new RecordingFrontend();
        backend.Start(frontend);
        using Socket client = Connect(path);
        Assert.True(frontend.WaitForEvent(CharEvent.Connected));
        Assert.True(backend.IsConnected);
        byte[] sent = new byte[2_000_000];
        new Random(3).NextBytes(sent);
        int taken = backend.TryWrite(sent);
        Assert.InRange(taken, 1, sent.Length - 1);
        Assert.Equal(0, backend.TryWrite(sent.AsSpan(taken)));

        byte[] got = new byte[sent.Length];
        int read = 0;
        while (read < got.Length)
        {
            read += client.Receive(got, read, Math.Min(50_000, got.Length - read), SocketFlags.None);
            if (taken == sent.Length)
                continue;
            bool writable = read < taken ? frontend.TakeEvent(CharEvent.Writable) : frontend.WaitForEvent(CharEvent.Writable);
            Assert.True(writable || read < taken);
            taken += writable ? backend.TryWrite(sent.AsSpan(taken)) : 0;
        }

        Assert.Equal(sent, got);
        Assert.Equal(0, backend.DroppedBytes);
    }

    [Fact]
    public void Unix_ClientLeavesAWaitingWriter_ReleasesIt()
    {
        string path = Path.Combine(_folder, "s");
        using var backend = new UnixSocketBackend(path);
        var frontend = new RecordingFrontend();
        backend.Start(frontend);
        Assert.False(backend.IsConnected);
        using (Socket client = Connect(path))
        {
            Assert.True(frontend.WaitForEvent(CharEvent.Connected));
            while (backend.TryWrite(new byte[65536]) == 65536)
            {
            }
        }

        Assert.True(frontend.WaitForEvent(CharEvent.Disconnected));
        Assert.True(frontend.WaitForEvent(CharEvent.Writable));
        Assert.False(backend.IsConnected);
        Assert.Equal(7, backend.TryWrite("nobody "u8));
    }

    private static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static int Link(string from, string to)
    {
        fixed (byte* source = Encoding.UTF8.GetBytes(from + '\0'), target = Encoding.UTF8.GetBytes(to + '\0'))
            return Libc.link(source, target);
    }
}
