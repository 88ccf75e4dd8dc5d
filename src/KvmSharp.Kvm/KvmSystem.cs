using KvmSharp.Abi;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm;

/// <summary>The host's KVM: /dev/kvm opened, its API version checked. All members are thread-safe.</summary>
public sealed unsafe class KvmSystem : IDisposable
{
    private const int MaxCpuidEntries = 512;

    private KvmSystem(FileDescriptor file) => File = file;

    internal FileDescriptor File { get; }

    /// <summary>
    /// Opens KVM. Throws <see cref="LinuxException"/> when the device is absent or forbidden,
    /// <see cref="KvmUnsupportedException"/> when it does not speak API version 12.
    /// </summary>
    public static KvmSystem Open(string path = "/dev/kvm")
    {
        FileDescriptor file = FileDescriptor.Open(path, LibcConstants.O_RDWR);
        int version = KvmIoctl.Try(file, KVM_GET_API_VERSION, 0);
        if (version == KVM_API_VERSION)
            return new KvmSystem(file);
        file.Dispose();
        throw new KvmUnsupportedException(version < 0
            ? $"{path} is not KVM"
            : $"{path} speaks KVM API version {version}; version {KVM_API_VERSION} is needed");
    }

    /// <summary>KVM_CHECK_EXTENSION: 0 if absent, else its value (1, or a limit).</summary>
    public int Check(uint capability)
    {
        int value = KvmIoctl.Try(File, KVM_CHECK_EXTENSION, (nint)capability);
        return value < 0 ? 0 : value;
    }

    /// <summary>Its value; throws <see cref="KvmUnsupportedException"/> naming it and its purpose if this host lacks it.</summary>
    public int Require(KvmCapability capability)
    {
        int value = Check(capability.Number);
        return value > 0
            ? value
            : throw new KvmUnsupportedException($"this host's KVM lacks {capability.Name} (needed for {capability.Purpose}); a newer kernel has it", capability.Name);
    }

    /// <summary>Throws for the first required capability of <see cref="KvmCapability.All"/> that is missing.</summary>
    public void RequireAll()
    {
        foreach (KvmCapability capability in KvmCapability.All)
        {
            if (capability.Required)
                Require(capability);
        }
    }

    /// <summary>Most vCPUs one VM may have.</summary>
    public int MaxVcpus => Math.Max(Check(KVM_CAP_MAX_VCPUS), Math.Max(Check(KVM_CAP_NR_VCPUS), 1));

    /// <summary>KVM_GET_SUPPORTED_CPUID: what this host's KVM can offer a guest.</summary>
    public kvm_cpuid_entry2[] GetSupportedCpuid() => GetCpuid(KVM_GET_SUPPORTED_CPUID, nameof(KVM_GET_SUPPORTED_CPUID));

    /// <summary>KVM_GET_EMULATED_CPUID: features KVM emulates in software; empty if this KVM does not tell.</summary>
    public kvm_cpuid_entry2[] GetEmulatedCpuid() =>
        Check(KVM_CAP_EXT_EMUL_CPUID) > 0 ? GetCpuid(KVM_GET_EMULATED_CPUID, nameof(KVM_GET_EMULATED_CPUID)) : [];

    private kvm_cpuid_entry2[] GetCpuid(uint request, string name)
    {
        int headerSize = sizeof(kvm_cpuid2);
        byte[] buffer = new byte[headerSize + MaxCpuidEntries * sizeof(kvm_cpuid_entry2)];
        fixed (byte* p = buffer)
        {
            // SAFETY: nent tells the kernel how many entries follow the header; the buffer has room for all of them.
            var header = (kvm_cpuid2*)p;
            header->nent = MaxCpuidEntries;
            KvmIoctl.Call(File, request, p, name);
            return new ReadOnlySpan<kvm_cpuid_entry2>(p + headerSize, (int)Math.Min(header->nent, MaxCpuidEntries)).ToArray();
        }
    }

    /// <summary>KVM_GET_MSR_INDEX_LIST: the MSRs a vCPU's state consists of.</summary>
    public uint[] GetMsrIndices()
    {
        const int capacity = 2048;
        uint[] buffer = new uint[1 + capacity];
        buffer[0] = capacity;
        fixed (uint* p = buffer)
        {
            KvmIoctl.Call(File, KVM_GET_MSR_INDEX_LIST, p, "KVM_GET_MSR_INDEX_LIST");
            return buffer.AsSpan(1, (int)Math.Min(p[0], capacity)).ToArray();
        }
    }

    internal ulong VcpuMappingSize =>
        (ulong)KvmIoctl.Call(File, KVM_GET_VCPU_MMAP_SIZE, 0UL, "KVM_GET_VCPU_MMAP_SIZE");

    public void Dispose() => File.Dispose();
}
