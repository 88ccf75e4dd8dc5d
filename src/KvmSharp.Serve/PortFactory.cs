using KvmSharp.Machine.Config;

namespace KvmSharp.Serve;

/// <summary>Adds ports as users describe them, on the command line and through the control socket. Not thread-safe.</summary>
public sealed class PortFactory(ServeHost host)
{
    /// <summary>
    /// Adds a port; its name, which is that of the user or the type's with a number. Throws what <see cref="IServedType.Create"/> and
    /// <see cref="ServeHost.Add"/> throw.
    /// </summary>
    public string Add(IServedType type, OptionValues values, string socketPath)
    {
        string name = values.Text("id") ?? FirstFree(type.Name);
        host.Add(name, socketPath, loops => type.Create(name, values, loops));
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
