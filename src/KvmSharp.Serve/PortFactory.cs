using KvmSharp.Machine.Config;

namespace KvmSharp.Serve;

/// <summary>Adds ports as users describe them, on the command line and through the control socket. Not thread-safe.</summary>
public sealed class PortFactory(ServeHost host)
{
    private int _made;

    /// <summary>
    /// Adds a port; its name, which is that of the user or the type's with a number. Throws what <see cref="IServedType.Create"/> and
    /// <see cref="ServeHost.Add"/> throw.
    /// </summary>
    public string Add(IServedType type, OptionValues values, string socketPath)
    {
        string name = values.Text("id") ?? $"{type.Name}{_made++}";
        host.Add(name, socketPath, loops => type.Create(name, values, loops));
        return name;
    }
}
