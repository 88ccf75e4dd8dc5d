using KvmSharp.Core.Chars;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Machine.Tests;

public sealed class CharPortTests
{
    [Fact]
    public void Receive_AfterDisconnect_DoesNotReachTheDevice()
    {
        var backend = new FakeCharBackend();
        using var port = new CharPort(backend);
        var device = new Device();
        ICharBackend connection = port.Connect();
        connection.Start(device);
        port.Receive("a"u8);

        connection.Dispose();
        port.Receive("b"u8);

        Assert.Equal("a", device.Text);
        Assert.Equal(0, port.Capacity);
    }

    [Fact]
    public void Start_SecondDevice_TakesOverWithoutStartingTheBackendAgain()
    {
        var backend = new FakeCharBackend();
        using var port = new CharPort(backend);
        Device first = new(), second = new();
        ICharBackend connection = port.Connect();
        connection.Start(first);
        connection.Dispose();

        port.Connect().Start(second);
        backend.Feed("x"u8);

        Assert.Equal("", first.Text);
        Assert.Equal("x", second.Text);
        Assert.Same(port, backend.Frontend);
        Assert.Equal(1, backend.ReadyCalls);
    }

    private sealed class Device : ICharFrontend
    {
        public string Text { get; private set; } = "";

        public int Capacity => 16;

        public void Receive(ReadOnlySpan<byte> data) => Text += System.Text.Encoding.Latin1.GetString(data);
    }
}
