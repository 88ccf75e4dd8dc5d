using KvmSharp.Machine.Config;
using KvmSharp.Serve.Blk;
using KvmSharp.Serve.Net;

namespace KvmSharp.Serve;

/// <summary>Everything that can be served, a line each.</summary>
public static class ServedTypes
{
    /// <remarks>New ones every time: what the ports of one process share, such as a switch, is in their type.</remarks>
    public static IReadOnlyList<IServedType> All =>
    [
        new BlkType(),
        new NetType(),
    ];

    /// <summary>Throws <see cref="ConfigException"/> if there is none of that name.</summary>
    public static IServedType Find(string name)
    {
        foreach (IServedType type in All)
        {
            if (type.Name == name)
                return type;
        }

        throw new ConfigException($"'{Printable.Line(name)}' cannot be served", $"there is {string.Join(", ", All.Select(t => t.Name))}");
    }
}
