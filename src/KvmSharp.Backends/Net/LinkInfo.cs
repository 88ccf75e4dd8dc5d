using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.RtnetlinkConstants;

namespace KvmSharp.Backends.Net;

/// <summary>What the kernel says about an interface in the calling thread's network namespace (RTM_GETLINK, rtnetlink(7)).</summary>
internal sealed unsafe record LinkInfo
{
    private const int MaxAnswer = 32 * 1024;

    /// <summary>"tun", "bridge" and so on; empty for hardware and loopback.</summary>
    public string Kind { get; private set; } = "";

    public bool HasCarrier { get; private set; }

    /// <summary>A tun that carries Ethernet frames.</summary>
    public bool IsTap { get; private set; }

    public bool IsMultiQueue { get; private set; }

    /// <summary>User id that may attach to the tap; null: any, as far as this goes.</summary>
    public uint? Owner { get; private set; }

    /// <summary>Group id, likewise.</summary>
    public uint? Group { get; private set; }

    /// <summary>Queues that somebody has open, of a multiqueue tap.</summary>
    public uint OpenQueues { get; private set; }

    /// <summary>Somebody has the tap open.</summary>
    public bool IsInUse => IsMultiQueue ? OpenQueues > 0 : HasCarrier;

    /// <summary>Null if there is no such interface, or the kernel does not tell.</summary>
    public static LinkInfo? Find(string name)
    {
        int fd = Libc.socket(AF_NETLINK, SOCK_RAW | NetConstants.SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
            return null;
        using FileDescriptor socket = new(fd);
        byte[] answer = new byte[MaxAnswer];
        byte[] request = Request(name);
        fixed (byte* from = request, to = answer)
        {
            if (Libc.write(fd, from, (nuint)request.Length) != request.Length)
                return null;
            int length = (int)Libc.read(fd, to, (nuint)answer.Length);
            return length > 0 ? Parse(answer.AsSpan(0, length)) : null;
        }
    }

    private static byte[] Request(string name)
    {
        byte[] text = Encoding.UTF8.GetBytes(name + '\0');
        int attribute = sizeof(rtattr) + text.Length;
        int length = sizeof(nlmsghdr) + sizeof(ifinfomsg) + Align(attribute);
        byte[] request = new byte[length];
        MemoryMarshal.Write(request, new nlmsghdr { nlmsg_len = (uint)length, nlmsg_type = RTM_GETLINK, nlmsg_flags = NLM_F_REQUEST });
        MemoryMarshal.Write(request.AsSpan(sizeof(nlmsghdr) + sizeof(ifinfomsg)), new rtattr { rta_len = (ushort)attribute, rta_type = IFLA_IFNAME });
        text.CopyTo(request, sizeof(nlmsghdr) + sizeof(ifinfomsg) + sizeof(rtattr));
        return request;
    }

    private static LinkInfo? Parse(ReadOnlySpan<byte> message)
    {
        if (message.Length < sizeof(nlmsghdr) + sizeof(ifinfomsg) || MemoryMarshal.Read<nlmsghdr>(message).nlmsg_type != RTM_NEWLINK)
            return null;
        var link = new LinkInfo();
        ReadOnlySpan<byte> rest = message[(sizeof(nlmsghdr) + sizeof(ifinfomsg))..];
        while (TryTake(ref rest, out int type, out ReadOnlySpan<byte> value))
        {
            if (type == IFLA_CARRIER)
                link.HasCarrier = value.Length > 0 && value[0] != 0;
            else if (type == IFLA_LINKINFO)
                link.ReadKind(value);
        }

        return link;
    }

    private void ReadKind(ReadOnlySpan<byte> info)
    {
        while (TryTake(ref info, out int type, out ReadOnlySpan<byte> value))
        {
            if (type == IFLA_INFO_KIND)
                Kind = Encoding.UTF8.GetString(value).TrimEnd('\0');
            else if (type == IFLA_INFO_DATA && Kind == "tun")
                ReadTun(value);
        }
    }

    private void ReadTun(ReadOnlySpan<byte> data)
    {
        while (TryTake(ref data, out int type, out ReadOnlySpan<byte> value))
        {
            switch (type)
            {
                case IFLA_TUN_OWNER:
                    Owner = Number(value);
                    break;
                case IFLA_TUN_GROUP:
                    Group = Number(value);
                    break;
                case IFLA_TUN_TYPE:
                    IsTap = Number(value) == NetConstants.IFF_TAP;
                    break;
                case IFLA_TUN_MULTI_QUEUE:
                    IsMultiQueue = Number(value) != 0;
                    break;
                case IFLA_TUN_NUM_QUEUES or IFLA_TUN_NUM_DISABLED_QUEUES:
                    OpenQueues += Number(value);
                    break;
            }
        }
    }

    private static uint Number(ReadOnlySpan<byte> value) => value.Length >= 4 ? MemoryMarshal.Read<uint>(value) : value.Length > 0 ? value[0] : 0u;

    /// <summary>The next attribute; false at the end, or at one that goes beyond it.</summary>
    private static bool TryTake(ref ReadOnlySpan<byte> attributes, out int type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (attributes.Length < sizeof(rtattr))
            return false;
        rtattr head = MemoryMarshal.Read<rtattr>(attributes);
        if (head.rta_len < sizeof(rtattr) || head.rta_len > attributes.Length)
            return false;
        type = head.rta_type;
        value = attributes[sizeof(rtattr)..head.rta_len];
        attributes = attributes[Math.Min(Align(head.rta_len), attributes.Length)..];
        return true;
    }

    private static int Align(int length) => (length + 3) & ~3;
}
