using KvmSharp.Core.Chars;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine;

/// <summary>The machine's character backends by use ("com1", "debugcon"), opened at first use and kept to the machine's end. Control thread only.</summary>
internal sealed class CharPorts(Func<string, CharConfig, ICharBackend> open) : IDisposable
{
    private readonly Dictionary<string, CharPort> _ports = [];

    /// <summary>A connection for one device's lifetime to the backend that <paramref name="use"/> names.</summary>
    public ICharBackend Connect(string use, CharConfig config)
    {
        if (!_ports.TryGetValue(use, out CharPort? port))
            _ports.Add(use, port = new CharPort(open(use, config)));
        return port.Connect();
    }

    public void Dispose()
    {
        foreach (CharPort port in _ports.Values)
            port.Dispose();
        _ports.Clear();
    }
}
