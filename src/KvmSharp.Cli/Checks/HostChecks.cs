using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Kvm;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli.Checks;

/// <summary>Looks at this host. Nothing here changes anything or throws for what it finds.</summary>
internal static unsafe class HostChecks
{
    private const int SysIoUringSetup = 425;

    public static List<CheckItem> All(string kvmDevice)
    {
        var items = new List<CheckItem>();
        AddKvm(items, kvmDevice);
        items.Add(CpuFlags());
        items.Add(Device("tun", "/dev/net/tun", "networks on a tap device", "modprobe tun; run as root or give the user a tap device (ip tuntap add ... user NAME)"));
        items.Add(Device("vhost-net", "/dev/vhost-net", "networks served by the kernel", "modprobe vhost_net; add the user to the group of /dev/vhost-net"));
        items.Add(Device("vhost-vsock", "/dev/vhost-vsock", "sockets between host and guest", "modprobe vhost_vsock; add the user to the group of /dev/vhost-vsock"));
        items.Add(Vfio());
        items.Add(IommuGroups());
        items.Add(Device("iommufd", "/dev/iommu", "device assignment through iommufd", "modprobe iommufd (Linux 6.2 or newer)"));
        items.Add(IoUring());
        items.Add(HugePages());
        items.Add(MemLock());
        items.Add(Ksm());
        return items;
    }

    private static void AddKvm(List<CheckItem> items, string device)
    {
        try
        {
            using KvmSystem kvm = KvmSystem.Open(device);
            items.Add(new(device, CheckStatus.Ok, $"API version 12, up to {kvm.MaxVcpus} vCPUs"));
            foreach (KvmCapability capability in KvmCapability.All)
            {
                int value = kvm.Check(capability.Number);
                if (value > 0)
                    items.Add(new(capability.Name, CheckStatus.Ok, value > 1 ? $"{capability.Purpose} ({value})" : capability.Purpose));
                else
                    items.Add(new(capability.Name, capability.Required ? CheckStatus.Missing : CheckStatus.Warning, $"absent: {capability.Purpose}", "a newer host kernel has it"));
            }
        }
        catch (LinuxException e)
        {
            string fix = e.Errno is LibcConstants.EACCES or LibcConstants.EPERM
                ? "sudo usermod -aG kvm $USER, then log in again"
                : "modprobe kvm_intel or kvm_amd; turn virtualization (VT-x, AMD-V) on in the firmware; in a VM, turn nested virtualization on";
            items.Add(new(device, CheckStatus.Missing, Marshal.GetPInvokeErrorMessage(e.Errno).ToLowerInvariant(), fix));
        }
        catch (KvmUnsupportedException e)
        {
            items.Add(new(device, CheckStatus.Missing, e.Message, "update the host's kernel, or name the KVM device with --kvm-device"));
        }
    }

    private static CheckItem CpuFlags()
    {
        string flags = " " + (ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("flags", StringComparison.Ordinal)) ?? "") + " ";
        string? found = flags.Contains(" vmx ", StringComparison.Ordinal) ? "VMX (Intel VT-x)" : flags.Contains(" svm ", StringComparison.Ordinal) ? "SVM (AMD-V)" : null;
        return found is not null
            ? new("cpu virtualization", CheckStatus.Ok, found)
            : new("cpu virtualization", CheckStatus.Warning, "neither VMX nor SVM: guest kernels are emulated and slow", "use the lab, scripts/lab.sh, or a host with hardware virtualization");
    }

    private static CheckItem Device(string name, string path, string purpose, string fix)
    {
        if (!File.Exists(path))
            return new(name, CheckStatus.Warning, $"{path} is absent: no {purpose}", fix);
        bool usable;
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            usable = Libc.access(p, LibcConstants.R_OK | LibcConstants.W_OK) == 0;
        return usable ? new(name, CheckStatus.Ok, $"{path}: {purpose}") : new(name, CheckStatus.Warning, $"{path}: permission denied", fix);
    }

    private static CheckItem Vfio() => File.Exists("/dev/vfio/vfio")
        ? new("vfio", CheckStatus.Ok, "/dev/vfio/vfio: device assignment")
        : new("vfio", CheckStatus.Warning, "/dev/vfio/vfio is absent: no device assignment", "modprobe vfio_pci");

    private static CheckItem IommuGroups()
    {
        int count = Directory.Exists("/sys/kernel/iommu_groups") ? Directory.GetDirectories("/sys/kernel/iommu_groups").Length : 0;
        return count > 0
            ? new("iommu groups", CheckStatus.Ok, count.ToString(CultureInfo.InvariantCulture))
            : new("iommu groups", CheckStatus.Warning, "none: devices cannot be assigned safely", "turn the IOMMU on in the firmware and boot the host with intel_iommu=on or amd_iommu=on");
    }

    private static CheckItem IoUring()
    {
        byte* parameters = stackalloc byte[120];
        new Span<byte>(parameters, 120).Clear();
        // SAFETY: struct io_uring_params is 120 bytes (linux/io_uring.h).
        nint fd = Libc.syscall(SysIoUringSetup, 1, (nint)parameters, 0, 0, 0, 0);
        if (fd >= 0)
        {
            _ = Libc.close((int)fd);
            return new("io_uring", CheckStatus.Ok, "available");
        }

        int errno = Marshal.GetLastPInvokeError();
        return new("io_uring", CheckStatus.Warning, $"{Marshal.GetPInvokeErrorMessage(errno).ToLowerInvariant()}: disks use threads instead", errno == LibcConstants.EPERM
            ? "sysctl kernel.io_uring_disabled=0, or allow the call in the container's seccomp profile"
            : "a host kernel with CONFIG_IO_URING");
    }

    private static CheckItem HugePages()
    {
        string[] lines = ReadLines("/proc/meminfo");
        long free = Number(lines, "HugePages_Free:"), total = Number(lines, "HugePages_Total:"), kib = Number(lines, "Hugepagesize:");
        return total > 0
            ? new("huge pages", CheckStatus.Ok, $"{free} of {total} free, {SizeText.Format((ulong)kib << 10)} each")
            : new("huge pages", CheckStatus.Warning, "none reserved: --memory ...,hugepages=on cannot be used", "sysctl vm.nr_hugepages=1024");
    }

    private static CheckItem MemLock()
    {
        rlimit limit;
        if (Libc.getrlimit(LibcConstants.RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == LibcConstants.RLIM_INFINITY)
            return new("memlock limit", CheckStatus.Ok, "unlimited");
        return new("memlock limit", CheckStatus.Warning, $"{SizeText.Format(limit.rlim_cur)}: more guest memory than that cannot be locked or given to devices",
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service");
    }

    private static CheckItem Ksm()
    {
        string run = ReadLines("/sys/kernel/mm/ksm/run").FirstOrDefault() ?? "";
        return run == "1"
            ? new("ksm", CheckStatus.Ok, "merging equal pages of mergeable guests")
            : new("ksm", CheckStatus.Warning, "off: --memory ...,mergeable=on saves nothing", "echo 1 > /sys/kernel/mm/ksm/run");
    }

    private static long Number(string[] lines, string key)
    {
        string? line = lines.FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal));
        string[] parts = line is null ? [] : line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return parts.Length > 1 && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : 0;
    }

    private static string[] ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
