using System.Globalization;

namespace KvmSharp.Backends.Net;

/// <summary>What the calling thread may do with taps (proc(5), status).</summary>
internal sealed record UserRights
{
    private const int CapNetAdmin = 12; // linux/capability.h CAP_NET_ADMIN

    private uint _user;
    private HashSet<uint> _groups = [];

    public bool MayAdministerNetworks { get; private set; }

    public static UserRights OfThisThread()
    {
        var rights = new UserRights();
        foreach (string line in File.ReadLines("/proc/thread-self/status"))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            string[] values = line[(colon + 1)..].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            switch (line[..Math.Max(colon, 0)])
            {
                case "Uid":
                    rights._user = Number(values[1]);
                    break;
                case "Gid":
                    rights._groups.Add(Number(values[1]));
                    break;
                case "Groups":
                    rights._groups.UnionWith(values.Select(Number));
                    break;
                case "CapEff":
                    rights.MayAdministerNetworks = (ulong.Parse(values[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) >> CapNetAdmin & 1) != 0;
                    break;
            }
        }

        return rights;
    }

    /// <summary>Without further privilege.</summary>
    public bool MayUse(LinkInfo tap) => (tap.Owner is not { } owner || owner == _user) && (tap.Group is not { } group || _groups.Contains(group));

    private static uint Number(string text) => uint.Parse(text, CultureInfo.InvariantCulture);
}
