using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_console.h: feature bit numbers and events of the control queues.</summary>
public static class VirtioConsole
{
    // Bit numbers, not masks.
    public const int VIRTIO_CONSOLE_F_SIZE = 0, VIRTIO_CONSOLE_F_MULTIPORT = 1, VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

    public const ushort VIRTIO_CONSOLE_DEVICE_READY = 0, VIRTIO_CONSOLE_PORT_ADD = 1, VIRTIO_CONSOLE_PORT_REMOVE = 2, VIRTIO_CONSOLE_PORT_READY = 3,
        VIRTIO_CONSOLE_CONSOLE_PORT = 4, VIRTIO_CONSOLE_RESIZE = 5, VIRTIO_CONSOLE_PORT_OPEN = 6, VIRTIO_CONSOLE_PORT_NAME = 7;
}

/// <summary><c>struct virtio_console_config</c>, linux/virtio_console.h (packed).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct virtio_console_config
{
    public ushort cols;
    public ushort rows;
    public uint max_nr_ports;
    public uint emerg_wr;
}

/// <summary><c>struct virtio_console_control</c>, linux/virtio_console.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct virtio_console_control
{
    public uint id;
    public ushort @event;
    public ushort value;
}
