namespace KvmSharp.Abi.Tests.Layout;

/// <summary>Declarations that Debian 12's headers (Linux 6.1) do not have yet, by name, with the kernel that introduced them.</summary>
public static class NewerThanHeaders
{
    /// <summary>A struct or field here stands for all that is in it.</summary>
    public static readonly IReadOnlyDictionary<string, string> Since = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP"] = "Linux 6.2",
        ["KVM_CAP_PMU_EVENT_MASKED_EVENTS"] = "Linux 6.3",
        ["KVM_CAP_USER_MEMORY2"] = "Linux 6.8",
        ["KVM_CAP_MEMORY_FAULT_INFO"] = "Linux 6.8",
        ["KVM_CAP_MEMORY_ATTRIBUTES"] = "Linux 6.8",
        ["KVM_CAP_GUEST_MEMFD"] = "Linux 6.8",
        ["KVM_CAP_VM_TYPES"] = "Linux 6.8",
        ["KVM_CAP_PRE_FAULT_MEMORY"] = "Linux 6.11",
        ["KVM_CAP_X86_APIC_BUS_CYCLES_NS"] = "Linux 6.11",
        ["KVM_CAP_X86_GUEST_MODE"] = "Linux 6.11",
        ["KVM_MEM_GUEST_MEMFD"] = "Linux 6.8",
        ["KVM_EXIT_MEMORY_FAULT"] = "Linux 6.8",
        ["KVM_MEMORY_EXIT_FLAG_PRIVATE"] = "Linux 6.8",
        ["KVM_SET_USER_MEMORY_REGION2"] = "Linux 6.8",
        ["KVM_SET_MEMORY_ATTRIBUTES"] = "Linux 6.8",
        ["KVM_CREATE_GUEST_MEMFD"] = "Linux 6.8",
        ["KVM_PRE_FAULT_MEMORY"] = "Linux 6.11",
        ["kvm_pre_fault_memory"] = "Linux 6.11",
        ["kvm_run.memory_fault"] = "Linux 6.8",
        ["TUN_F_USO4"] = "Linux 6.2",
        ["TUN_F_USO6"] = "Linux 6.2",
        ["VIRTIO_NET_F_GUEST_USO4"] = "Linux 6.2",
        ["VIRTIO_NET_F_GUEST_USO6"] = "Linux 6.2",
        ["VIRTIO_NET_F_HOST_USO"] = "Linux 6.2",
        ["VIRTIO_F_NOTIFICATION_DATA"] = "Linux 6.11",
        ["VIRTIO_F_NOTIF_CONFIG_DATA"] = "Linux 6.13",
        ["VIRTIO_MMIO_QUEUE_RESET"] = "virtio 1.2 §4.2.2; not yet in a kernel header",
        ["LANDLOCK_ACCESS_NET_BIND_TCP"] = "Linux 6.7",
        ["LANDLOCK_ACCESS_NET_CONNECT_TCP"] = "Linux 6.7",
        ["LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET"] = "Linux 6.12",
        ["KVM_CPUID_TIMING"] = "no kernel header names leaf 0x40000010; guests know it by convention",
    };

    /// <summary>Whether <paramref name="name"/> or something that contains it is listed.</summary>
    public static bool Lists(string name)
    {
        for (string? n = name; n is not null; n = n.LastIndexOf('.') is > 0 and int dot ? n[..dot] : null)
        {
            if (Since.ContainsKey(n))
            {
                return true;
            }
        }

        return false;
    }
}
