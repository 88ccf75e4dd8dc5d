using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.Vhost.VhostConstants;

namespace KvmSharp.Backends.Vhost;

/// <summary>One queue pair of a tap, served by the kernel (/dev/vhost-net): packets never pass through this program.</summary>
internal sealed class VhostNet : KernelVhost
{
    private const string DevicePath = "/dev/vhost-net";

    private readonly FileDescriptor _tap;

    private VhostNet(FileDescriptor device, FileDescriptor tap)
        : base(DevicePath, device) => _tap = tap;

    /// <param name="tap">A queue of a tap with headers of 12 bytes; stays the caller's and outlives this.</param>
    public static VhostNet Open(FileDescriptor tap)
    {
        FileDescriptor device = OpenDevice();
        try
        {
            return new VhostNet(device, tap);
        }
        catch (LinuxException error)
        {
            throw new BackendException(error.Message, error) { IsHostLimit = true };
        }
    }

    public override void StartVring(int vring) => SetFile(VHOST_NET_SET_BACKEND, vring, _tap.Value, "VHOST_NET_SET_BACKEND");

    protected override bool TryDetach(int vring) => TrySetFile(VHOST_NET_SET_BACKEND, vring, VHOST_FILE_UNBIND);

    internal static FileDescriptor OpenDevice()
    {
        try
        {
            return FileDescriptor.Open(DevicePath, LibcConstants.O_RDWR);
        }
        catch (LinuxException error)
        {
            throw new BackendException(error.Errno switch
            {
                LibcConstants.ENOENT or LibcConstants.ENODEV or LibcConstants.ENXIO => $"there is no {DevicePath}: load the driver with 'modprobe vhost_net'",
                LibcConstants.EACCES or LibcConstants.EPERM => $"no permission on {DevicePath}: run as root, or allow it with 'chmod 666 {DevicePath}'",
                _ => error.Message,
            }, error) { IsHostLimit = true };
        }
    }
}
