using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Abi.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Vhost.VhostConstants;

namespace KvmSharp.Backends.Vhost;

/// <summary>What all vhost devices of the kernel have in common (linux/vhost.h): a descriptor that takes ioctls, and a kernel thread behind it.</summary>
internal abstract unsafe class KernelVhost : IVhostBackend
{
    private readonly string _name;
    private readonly FileDescriptor _device;

    /// <summary>Takes the device over, in either case, and makes this process its owner: the kernel thread is a child of the calling thread.</summary>
    protected KernelVhost(string name, FileDescriptor device)
    {
        _name = name;
        _device = device;
        try
        {
            Call(VHOST_SET_OWNER, null, "VHOST_SET_OWNER");
            ulong features;
            Call(VHOST_GET_FEATURES, &features, "VHOST_GET_FEATURES");
            Features = features;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    public ulong Features { get; }

    public void SetFeatures(ulong features) => Call(VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES");

    public void SetMemory(GuestMemory memory)
    {
        ReadOnlySpan<GuestMemoryRegion> regions = memory.Regions;
        byte[] table = new byte[sizeof(vhost_memory) + regions.Length * sizeof(vhost_memory_region)];
        fixed (byte* p = table)
        {
            // SAFETY: the table holds the head and exactly nregions regions.
            ((vhost_memory*)p)->nregions = (uint)regions.Length;
            var entries = new Span<vhost_memory_region>(p + sizeof(vhost_memory), regions.Length);
            for (int i = 0; i < regions.Length; i++)
                entries[i] = new vhost_memory_region { guest_phys_addr = regions[i].Start.Value, memory_size = regions[i].SizeBytes, userspace_addr = (ulong)regions[i].Host };
            Call(VHOST_SET_MEM_TABLE, p, "VHOST_SET_MEM_TABLE");
        }
    }

    public void SetVringSize(int vring, ushort size) => SetState(VHOST_SET_VRING_NUM, vring, size, "VHOST_SET_VRING_NUM");

    public void SetVringBase(int vring, uint position) => SetState(VHOST_SET_VRING_BASE, vring, position, "VHOST_SET_VRING_BASE");

    public void SetVringAreas(int vring, in VhostAreas areas)
    {
        vhost_vring_addr addresses = new()
        {
            index = (uint)vring,
            desc_user_addr = (ulong)areas.Descriptor.Host,
            avail_user_addr = (ulong)areas.Driver.Host,
            used_user_addr = (ulong)areas.Device.Host,
        };
        Call(VHOST_SET_VRING_ADDR, &addresses, "VHOST_SET_VRING_ADDR");
    }

    public void SetVringKick(int vring, EventFd kick) => SetFile(VHOST_SET_VRING_KICK, vring, kick.Value, "VHOST_SET_VRING_KICK");

    public void SetVringCall(int vring, EventFd call) => SetFile(VHOST_SET_VRING_CALL, vring, call.Value, "VHOST_SET_VRING_CALL");

    public void SetVringError(int vring, EventFd error) => SetFile(VHOST_SET_VRING_ERR, vring, error.Value, "VHOST_SET_VRING_ERR");

    public abstract void StartVring(int vring);

    public bool TryEnableVring(int vring, bool enabled) => false;

    public bool TryStopVring(int vring, out uint position)
    {
        bool stopped = TryDetach(vring);
        vhost_vring_state state = new() { index = (uint)vring };
        stopped &= Try(VHOST_GET_VRING_BASE, &state) >= 0;
        position = state.num;
        foreach (uint request in (ReadOnlySpan<uint>)[VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR])
            _ = TrySetFile(request, vring, VHOST_FILE_UNBIND);
        return stopped;
    }

    public void Dispose() => _device.Dispose();

    /// <summary>The vring stops and what it has in flight ends.</summary>
    protected abstract bool TryDetach(int vring);

    protected void SetFile(uint request, int vring, int fd, string name)
    {
        vhost_vring_file file = new() { index = (uint)vring, fd = fd };
        Call(request, &file, name);
    }

    protected bool TrySetFile(uint request, int vring, int fd)
    {
        vhost_vring_file file = new() { index = (uint)vring, fd = fd };
        return Try(request, &file) >= 0;
    }

    private void SetState(uint request, int vring, uint value, string name)
    {
        vhost_vring_state state = new() { index = (uint)vring, num = value };
        Call(request, &state, name);
    }

    private void Call(uint request, void* argument, string name)
    {
        int result = Try(request, argument);
        if (result < 0)
            throw new LinuxException($"{_name}: {name}", -result);
    }

    /// <summary>The result, or -errno. Retries EINTR: vCPU threads are kicked at any time.</summary>
    private int Try(uint request, void* argument)
    {
        while (true)
        {
            int result = Libc.ioctl(_device.Value, request, (nint)argument);
            if (result >= 0)
                return result;
            int errno = Marshal.GetLastPInvokeError();
            if (errno != LibcConstants.EINTR)
                return -errno;
        }
    }
}
