using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>Network interfaces that this process serves, and drivers on them over our own front end.</summary>
internal sealed class ServedNetwork : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-serve").FullName;
    private readonly List<NetDriver> _drivers = [];
    private readonly PortFactory _factory;

    public ServedNetwork(ServeOptions? options = null)
    {
        Host = new ServeHost(options ?? new ServeOptions(), NullLoggerFactory.Instance, error => Failure = error);
        _factory = new PortFactory(Host);
    }

    public ServeHost Host { get; }

    public Exception? Failure { get; private set; }

    public string Folder => _folder;

    /// <summary>Adds a port as on the command line.</summary>
    public string Add(string port)
    {
        IServedType type = ServedTypes.Find("net");
        return _factory.Add(type, OptionText.Parse(type.PortOption, port, "--port"), SocketOf(Host.Ports.Count));
    }

    /// <summary>A driver on the socket of the port that was added as number <paramref name="port"/>.</summary>
    public NetDriver Connect(int port, ulong features, int pairs = 1)
    {
        NetDriver driver = new(VhostUserBackend.Connect(SocketOf(port), VhostUserOptions.Net(null)), features, pairs);
        _drivers.Add(driver);
        return driver;
    }

    public void Dispose()
    {
        foreach (NetDriver driver in _drivers)
            driver.Dispose();
        Host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string SocketOf(int port) => Path.Combine(_folder, $"{port}.sock");
}
