using KvmSharp.Backends;

namespace KvmSharp.Serve.Net;

/// <summary>
/// A learning switch between ports of this program: a frame goes to the port behind which its destination was seen, or to all others. Ports come and go on
/// the control thread or while it does not run; frames pass on the threads of whoever sends them.
/// </summary>
internal sealed class L2Switch
{
    public const int MaxPorts = 1024;

    private readonly Lock _sync = new();
    private SwitchPort?[] _ports = [];

    public MacTable Stations { get; } = new();

    /// <summary>By number; null where there is none any more.</summary>
    public SwitchPort?[] Ports => Volatile.Read(ref _ports);

    /// <summary>A new port. Throws <see cref="BackendException"/> if there are too many.</summary>
    public SwitchPort Join()
    {
        lock (_sync)
        {
            int number = Array.IndexOf(_ports, null);
            SwitchPort?[] ports = _ports;
            if (number < 0)
            {
                number = ports.Length;
                if (number == MaxPorts)
                    throw new BackendException($"the switch has {MaxPorts} ports already");
                ports = [.. ports, null];
            }
            else
            {
                ports = [.. ports];
            }

            var port = new SwitchPort(this, (ushort)number);
            ports[number] = port;
            Volatile.Write(ref _ports, ports);
            return port;
        }
    }

    public void Leave(SwitchPort port)
    {
        lock (_sync)
        {
            SwitchPort?[] ports = [.. _ports];
            ports[port.Number] = null;
            Volatile.Write(ref _ports, ports);
            Stations.Forget(port.Number);
        }
    }
}
