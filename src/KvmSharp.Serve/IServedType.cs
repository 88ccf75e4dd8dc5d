using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;

namespace KvmSharp.Serve;

/// <summary>A kind of device that can be served: the word after <c>kvmsharp serve</c>, and the option that says what a port of it is made of.</summary>
public interface IServedType
{
    string Name { get; }

    /// <summary>Said once for each port, beside its socket. Its key <c>id</c>, where it has one, names the port.</summary>
    OptionSpec PortOption { get; }

    /// <summary>
    /// Makes the device of a port. Throws <see cref="ConfigException"/>, <see cref="Backends.BackendException"/> or <see cref="Core.LinuxException"/>
    /// with one line for the user. Any thread.
    /// </summary>
    /// <param name="name">The port's, for logs.</param>
    /// <param name="loops">The threads for its queues, in turn; not the device's.</param>
    IServedDevice Create(string name, OptionValues values, IReadOnlyList<EventLoop> loops);
}
