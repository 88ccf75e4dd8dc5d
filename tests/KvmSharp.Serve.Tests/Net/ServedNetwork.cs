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
    private readonly ServeOptions _options;
    private readonly List<string> _ports = [];
    private PortFactory _factory;
    private ControlSocket? _control;

    public ServedNetwork(ServeOptions? options = null)
    {
        _options = options ?? new ServeOptions();
        Host = new ServeHost(_options, NullLoggerFactory.Instance, error => Failure = error);
        _factory = new PortFactory(Host);
    }

    public ServeHost Host { get; private set; }

    public Exception? Failure { get; private set; }

    public string Folder => _folder;

    /// <summary>Ports on the switch from now on are on another one.</summary>
    public void ReplaceSwitch() => _factory = new PortFactory(Host);

    /// <summary>Adds a port as on the command line.</summary>
    /// <param name="connects">It connects to a front end that listens on its socket.</param>
    public string Add(string port, bool connects = false)
    {
        IServedType type = ServedTypes.Find("net");
        _ports.Add(port);
        return _factory.Add(type, OptionText.Parse(type.PortOption, port, "--port"), (connects ? "connect:" : "") + SocketOf(Host.Ports.Count));
    }

    /// <summary>The back end ends, and another with the same ports takes its place.</summary>
    public void Restart()
    {
        Host.Dispose();
        Host = new ServeHost(_options, NullLoggerFactory.Instance, error => Failure = error);
        ReplaceSwitch();
        string[] ports = [.. _ports];
        _ports.Clear();
        foreach (string port in ports)
            Add(port);
        _drivers.ForEach(driver => driver.Resume());
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
        NetDriver driver = new(FrontEnd(socket, withheld), features, pairs);
        _drivers.Add(driver);
        return driver;
    }

    /// <summary>A driver to which the port that was added as number <paramref name="port"/> connects.</summary>
    public NetDriver Accept(int port, ulong features)
    {
        NetDriver driver = new(VhostUserBackend.Accept(SocketOf(port), VhostUserOptions.Net(256, null), _ => { }, default), features, pairs: 1);
        _drivers.Add(driver);
        return driver;
    }

    /// <inheritdoc cref="NetDriver.Reattach"/>
    public void Reconnect(NetDriver driver, int port) => driver.Reattach(() => FrontEnd(SocketOf(port), VhostUserFeatures.None));

    public void Dispose()
    {
        foreach (NetDriver driver in _drivers)
            driver.Dispose();
        _control?.Dispose();
        Host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public string SocketOf(int port) => Path.Combine(_folder, $"{port}.sock");

    private static VhostUserBackend FrontEnd(string socket, VhostUserFeatures withheld)
    {
        VhostUserOptions options = VhostUserOptions.Net(256, null);
        return VhostUserBackend.Connect(socket, options with { Wanted = options.Wanted & ~withheld });
    }
}
