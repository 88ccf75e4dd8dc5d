using KvmSharp.Machine.Config;
using KvmSharp.Serve.Net;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Serve.Tests;

public sealed class ServeHostTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-serve").FullName;
    private readonly ServeHost _host = new(new ServeOptions { IoThreads = 2 }, NullLoggerFactory.Instance, _ => { });
    private readonly NetType _type = new();

    public void Dispose()
    {
        _host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Add_ManyPorts_SpreadsThemEvenly()
    {
        string[] threads = [.. Enumerable.Range(0, 64).Select(i => Add($"p{i}"))];

        Assert.Equal([32, 32], threads.CountBy(thread => thread).Select(count => count.Value));
    }

    [Fact]
    public void Add_AfterPortsOfOneThreadHaveGone_BeginsThere()
    {
        string first = Add("p0"), second = Add("p1");
        Assert.NotEqual(first, second);
        Assert.Equal(first, Add("p2"));
        Assert.True(_host.Remove("p0"));
        Assert.True(_host.Remove("p2"));

        Assert.Equal(first, Add("p3"));
    }

    /// <summary>A port; the thread that it begins with.</summary>
    private string Add(string name)
    {
        string thread = "";
        _host.Add(name, Path.Combine(_folder, name), loops =>
        {
            thread = loops[0].Name;
            return _type.Create(name, OptionText.Parse(_type.PortOption, "null", "--port"), loops);
        });
        return thread;
    }
}
