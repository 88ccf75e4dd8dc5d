using System.Net.Sockets;
using System.Text.Json;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>A user of the control socket.</summary>
internal sealed class ControlTalk : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
    private readonly StreamReader _answers;
    private readonly StreamWriter _questions;

    public ControlTalk(string path)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(path));
        NetworkStream stream = new(_socket);
        _answers = new StreamReader(stream);
        _questions = new StreamWriter(stream) { AutoFlush = true };
    }

    /// <summary>What a command returns. Throws <see cref="KeyNotFoundException"/> if that is an error.</summary>
    public JsonElement Run(string command)
    {
        _questions.WriteLine(command);
        return JsonDocument.Parse(_answers.ReadLine()!).RootElement.GetProperty("return");
    }

    /// <summary>What each network interface has counted, in the order in which they were added.</summary>
    public IReadOnlyList<PortStatistics> Statistics() =>
        [.. Run("""{"execute":"list"}""").EnumerateArray()
            .OrderBy(p => int.Parse(p.GetProperty("id").GetString()!.AsSpan("net".Length)))
            .Select(p => new PortStatistics(Count(p.GetProperty("sent")), Count(p.GetProperty("received"))))];

    public void Dispose()
    {
        _answers.Dispose();
        _socket.Dispose();
    }

    private static TrafficCount Count(JsonElement from) => new(from.GetProperty("frames").GetInt64(), from.GetProperty("bytes").GetInt64(), from.GetProperty("lost").GetInt64());
}
