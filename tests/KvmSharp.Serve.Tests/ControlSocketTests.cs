using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using KvmSharp.Serve.Control;

namespace KvmSharp.Serve.Tests;

public sealed class ControlSocketTests : IDisposable
{
    private readonly ServedDisk _disk = new();
    private readonly string _path;
    private readonly ControlSocket _control;

    public ControlSocketTests()
    {
        _path = _disk.Socket + ".control";
        _control = new ControlSocket(_path, _disk.Host, new PortFactory(_disk.Host));
    }

    public void Dispose()
    {
        _control.Dispose();
        _disk.Dispose();
    }

    [Fact]
    public void AddListRemove_OfAPort_AreSeen()
    {
        File.WriteAllBytes(_disk.Image + "2", new byte[8192]);
        using StreamReader answers = Send($$$"""
            {"execute":"add","arguments":{"type":"blk","image":"{{{_disk.Image}}}2,id=second","socket":"{{{_disk.Socket}}}2"}}
            {"execute":"list"}
            {"execute":"remove","arguments":{"id":"second"}}

            """);

        Assert.Equal("second", Return(answers).GetProperty("id").GetString());
        Assert.Equal(["blk0", "second"], Return(answers).EnumerateArray().Select(p => p.GetProperty("id").GetString()));
        Assert.Equal("second", Return(answers).GetProperty("id").GetString());
        Assert.False(File.Exists(_disk.Socket + "2"));
    }

    [Theory]
    [InlineData("{}", "\"execute\" is missing")]
    [InlineData("[", "not JSON")]
    [InlineData("""{"execute":"dance"}""", "unknown command 'dance'; there is list, add, remove and resized")]
    [InlineData("""{"execute":"remove","arguments":{"id":"x"}}""", "there is no port 'x'")]
    [InlineData("""{"execute":"add","arguments":{"type":"x"}}""", "'x' cannot be served")]
    [InlineData("""{"execute":"add","arguments":{"type":"blk","image":"/nonexistent","socket":"s"}}""", "disk image /nonexistent does not exist")]
    public void Command_ThatIsWrong_IsAnsweredWithOneLine(string command, string error)
    {
        using StreamReader answers = Send(command + "\n");

        Assert.StartsWith(error, JsonDocument.Parse(answers.ReadLine()!).RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Single(_disk.Host.Ports);
    }

    [Fact]
    public void Resized_Image_IsAnnouncedToNobodyWhoDoesNotListen()
    {
        using (FileStream image = File.OpenWrite(_disk.Image))
            image.SetLength(2 * ServedDisk.ImageBytes);
        using StreamReader answers = Send("""{"execute":"resized","arguments":{"id":"blk0"}}""" + "\n");
        Assert.Equal("blk0", Return(answers).GetProperty("id").GetString());

        using RawFrontEnd frontEnd = new(_disk.Socket);
        frontEnd.Say(24, [0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
        Assert.Equal(2L * ServedDisk.ImageBytes / 512, BitConverter.ToInt64(frontEnd.Hear()!, 12));
    }

    [Fact]
    public void Line_ThatIsTooLong_EndsTheConnection()
    {
        using StreamReader answers = Send(new string('x', 1 << 16));

        // It may hang up before all of it was sent.
        string? answer = null;
        Exception? error = Record.Exception(() => answer = answers.ReadLine());
        Assert.True(error is null or IOException);
        Assert.Null(answer);
    }

    private static JsonElement Return(StreamReader answers) => JsonDocument.Parse(answers.ReadLine()!).RootElement.GetProperty("return");

    private StreamReader Send(string text)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
        socket.Connect(new UnixDomainSocketEndPoint(_path));
        try
        {
            socket.Send(Encoding.UTF8.GetBytes(text));
        }
        catch (SocketException)
        {
            // It has hung up already.
        }

        return new StreamReader(new NetworkStream(socket, ownsSocket: true));
    }
}
