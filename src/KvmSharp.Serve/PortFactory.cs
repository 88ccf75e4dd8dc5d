using KvmSharp.Machine.Config;

namespace KvmSharp.Serve;

/// <summary>Adds ports as users describe them, on the command line and through the control socket. Not thread-safe.</summary>
public sealed class PortFactory(ServeHost host)
{
    private readonly Dictionary<string, IServedType> _types = [];

    /// <summary>
    /// Adds a port; its name, which is that of the user or the type's with a number. Throws what <see cref="IServedType.Create"/> and
    /// <see cref="ServeHost.Add"/> throw.
    /// </summary>
    /// <param name="type">All ports of a name are made by the first type of that name, in which is what they share.</param>
    /// <param name="socket">As for <see cref="ServeHost.Add"/>.</param>
    public string Add(IServedType type, OptionValues values, string socket)
    {
        if (!_types.TryAdd(type.Name, type))
            type = _types[type.Name];
        string name = values.Text("id") ?? FirstFree(type.Name);
        host.Add(name, socket, loops => type.Create(name, values, loops));
        return name;
    }

    private string FirstFree(string type)
    {
        int number = 0;
        while (host.Find($"{type}{number}") is not null)
            number++;
        return $"{type}{number}";
    }
}
