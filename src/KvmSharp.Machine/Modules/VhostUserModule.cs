using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>What devices that other processes serve have in common.</summary>
internal static class VhostUserModule
{
    /// <summary>The process behind the socket, connected at first use. Throws a back end exception.</summary>
    public static VhostUserBackend Connect(BoardContext board, DeviceConfig config, string name, string socket, VhostUserOptions options)
    {
        RequireSharedMemory(board, name);
        return board.HostEnds.Get(config, () => VhostUserBackend.Connect(socket, options, board.HostEnds.Paths));
    }

    /// <summary>Throws <see cref="ConfigException"/> if no other process can map the guest's memory.</summary>
    public static void RequireSharedMemory(BoardContext board, string name)
    {
        if (!board.Memory.IsShared)
            throw new ConfigException($"{name}: memory with mergeable=on cannot be shared with another process", "leave mergeable out");
    }
}
