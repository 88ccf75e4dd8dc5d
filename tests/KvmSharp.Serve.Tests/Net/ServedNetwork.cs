using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;
using KvmSharp.Serve.Control;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>Network interfaces that this process serves, and drivers on them over our own front end.</summary>
internal sealed class ServedNetwork : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kvmsharp-serve").FullName;
    private readonly List<NetDriver> _drivers = [];
    private PortFactory _factory;
    private ControlSocket? _control;

    public ServedNetwork(ServeOptions? options = null)
    {
        Host = new ServeHost(options ?? new ServeOptions(), NullLoggerFactory.Instance, error => Failure = error);
        _factory = new PortFactory(Host);
    }

    public ServeHost Host { get; }

    public Exception? Failure { get; private set; }

    public string Folder => _folder;

    /// <summary>Ports on the switch from now on are on another one.</summary>
    public void ReplaceSwitch() => _factory = new PortFactory(Host);

    /// <summary>Adds a port as on the command line.</summary>
    public string Add(string port)
    {
        IServedType type = ServedTypes.Find("net");
        return _factory.Add(type, OptionText.Parse(type.PortOption, port, "--port"), SocketOf(Host.Ports.Count));
    }

    /// <summary>A user of a control socket of this process.</summary>
    public ControlTalk Talk()
    {
        string path = Path.Combine(_folder, "control");
        _control ??= new ControlSocket(path, Host, _factory);
        return new ControlTalk(path);
    }

    /// <summary>A driver on the socket of the port that was added as number <paramref name="port"/>.</summary>
    /// <param name="withheld">Protocol features that the front end does not know.</param>
    public NetDriver Connect(int port, ulong features, int pairs = 1, VhostUserFeatures withheld = VhostUserFeatures.None) => Connect(SocketOf(port), features, pairs, withheld);

    /// <summary>A driver on a socket.</summary>
    public NetDriver Connect(string socket, ulong features, int pairs, VhostUserFeatures withheld = VhostUserFeatures.None)
    {
        VhostUserOptions options = VhostUserOptions.Net(null);
        NetDriver driver = new(VhostUserBackend.Connect(socket, options with { Wanted = options.Wanted & ~withheld }), features, pairs);
        _drivers.Add(driver);
        return driver;
    }

    public void Dispose()
    {
        foreach (NetDriver driver in _drivers)
            driver.Dispose();
        _control?.Dispose();
        Host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public string SocketOf(int port) => Path.Combine(_folder, $"{port}.sock");
}
