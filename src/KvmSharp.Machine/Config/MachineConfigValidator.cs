using KvmSharp.Emulated.Storage.Ide;

namespace KvmSharp.Machine.Config;

/// <summary>Refuses configurations that cannot work on any host. What depends on the host is checked when the machine is made.</summary>
public static class MachineConfigValidator
{
    /// <summary>More than any kernel's KVM_CAP_MAX_VCPUS; the host's own limit is checked later.</summary>
    public const int MaxCpus = 4096;

    public const ulong MinMemoryBytes = 1UL << 20;
    public const ulong MaxMemoryBytes = 4UL << 40;
    public const int MaxSerials = 4;
    private const ulong PageBytes = 4096;
    private const ulong HugePageBytes = 2UL << 20;

    /// <summary>Throws <see cref="ConfigException"/> for the first thing that is wrong.</summary>
    public static void Validate(MachineConfig config)
    {
        ValidateName(config.Name);
        if (string.IsNullOrEmpty(config.Boot.KernelPath))
            throw new ConfigException("no kernel given", "say which one to boot: --kernel /boot/vmlinuz");
        if (config.KvmDevice.Length == 0 || config.KvmDevice.Contains('\0', StringComparison.Ordinal))
            throw new ConfigException("the path of the KVM device is empty or holds a NUL", "it is /dev/kvm on most hosts");
        ValidateMemory(config.Memory);
        ValidateCpus(config.Cpus);
        ValidateChars(config);
        if (config.Grace < TimeSpan.Zero || config.Grace > TimeSpan.FromDays(1))
            throw new ConfigException("grace must be between 0 s and 1 day");
        ValidateDevices(config);
    }

    private static void ValidateName(string name)
    {
        if (name.Length is 0 or > 64)
            throw new ConfigException("name must have 1 to 64 characters");
        foreach (char c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.'))
                throw new ConfigException($"name '{Printable.Line(name)}' may only have letters, digits and -_.");
        }

        if (name[0] is '-' or '.')
            throw new ConfigException($"name '{name}' must not start with '{name[0]}'");
    }

    private static void ValidateMemory(MemoryConfig memory)
    {
        ulong size = memory.SizeBytes;
        if (size == 0)
            throw new ConfigException("memory must not be 0", "for example --memory 512M");
        if (size > MaxMemoryBytes)
            throw new ConfigException($"memory of {SizeText.Format(size)} is more than the limit of {SizeText.Format(MaxMemoryBytes)}");
        if (size < MinMemoryBytes)
            throw new ConfigException($"memory of {SizeText.Format(size)} is too little, the least is {SizeText.Format(MinMemoryBytes)}", "sizes without a suffix are bytes; say --memory 512M");
        if (size % PageBytes != 0)
            throw new ConfigException($"memory of {size} bytes is not a multiple of 4K");
        if (memory.HugePages && size % HugePageBytes != 0)
            throw new ConfigException($"memory of {SizeText.Format(size)} is not a multiple of 2M, which huge pages need");
        if (memory is { HugePages: true, Mergeable: true })
            throw new ConfigException("huge pages cannot be merged", "choose one of the two");
        if (memory.NumaNode is < 0 or > 1023)
            throw new ConfigException($"memory numa-node {memory.NumaNode} is not a node number (0 to 1023)");
    }

    private static void ValidateCpus(CpuConfig cpus)
    {
        if (cpus.Count < 1)
            throw new ConfigException("cpus must be at least 1");
        if (cpus.Count > MaxCpus)
            throw new ConfigException($"{cpus.Count} cpus are more than the limit of {MaxCpus}");
        if (cpus.Threads < 1 || cpus.Cores < 1 || cpus.Sockets < 1)
            throw new ConfigException("cpus: threads, cores and sockets must be at least 1");
        if ((long)cpus.Threads * cpus.Cores * cpus.Sockets != cpus.Count)
        {
            throw new ConfigException(
                $"cpus: {cpus.Count} is not sockets × cores × threads ({cpus.Sockets} × {cpus.Cores} × {cpus.Threads})",
                "leave one of them out and it is worked out");
        }

        if (cpus.Vendor is { } vendor && (vendor.Length != 12 || vendor.Any(c => c is < ' ' or > '~')))
            throw new ConfigException($"cpu vendor '{Printable.Line(vendor)}' must have 12 ASCII characters, as GenuineIntel or AuthenticAMD");
        if (cpus.PhysBits is < 32 or > 52)
            throw new ConfigException($"cpu phys-bits {cpus.PhysBits} must be between 32 and 52");
        foreach (CpuFeature feature in cpus.Features)
        {
            if (feature.Name.Length == 0 || feature.Name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
                throw new ConfigException($"cpu feature '{Printable.Line(feature.Name)}' is not a name");
        }
    }

    private static void ValidateChars(MachineConfig config)
    {
        var seen = new HashSet<int>();
        foreach (SerialConfig serial in config.Serials)
        {
            if (serial.Index is < 0 or >= MaxSerials)
                throw new ConfigException($"there are only {MaxSerials} serial ports, COM1 to COM4");
            if (!seen.Add(serial.Index))
                throw new ConfigException($"serial port COM{serial.Index + 1} is given twice");
        }

        int stdio = 0;
        var paths = new HashSet<string>(StringComparer.Ordinal);
        foreach (CharUse use in config.Chars)
            ValidateChar(use.Who, use.Char, ref stdio, paths);
        if (config.DebugConsole is { } c && c.Port == config.DebugExitPort)
            throw new ConfigException($"debug-exit and debug-console are both on port 0x{c.Port:x}");
    }

    private static void ValidateChar(string who, CharConfig config, ref int stdio, HashSet<string> paths)
    {
        bool wantsPath = config.Kind is CharKind.File or CharKind.Unix;
        if (wantsPath && string.IsNullOrEmpty(config.Path))
            throw new ConfigException($"{who}: {config} needs a path, as {config.Kind.ToString().ToLowerInvariant()}:PATH");
        if (!wantsPath && config.Path is not null)
            throw new ConfigException($"{who}: {config.Kind.ToString().ToLowerInvariant()} takes no path");
        if (config.Kind == CharKind.Stdio && ++stdio > 1)
            throw new ConfigException($"{who}: stdio is already used by another device", "give the other one file:PATH, pty, unix:PATH or none");
        if (config.Kind == CharKind.Unix && System.Text.Encoding.UTF8.GetByteCount(config.Path!) > 107)
            throw new ConfigException($"{who}: the socket path is longer than the 107 bytes that unix sockets allow");
        if (wantsPath && !paths.Add(config.Path!))
            throw new ConfigException($"{who}: {config.Path} is already used by another device");
    }

    private static void ValidateDevices(MachineConfig config)
    {
        ValidateIde(config);
        var threads = new HashSet<string>(StringComparer.Ordinal);
        foreach (IoThreadConfig thread in config.IoThreads)
        {
            if (!threads.Add(thread.Id))
                throw new ConfigException($"two I/O threads have the id '{Printable.Line(thread.Id)}'");
        }

        var ids = new HashSet<string>(StringComparer.Ordinal);
        var tags = new HashSet<string>(StringComparer.Ordinal);
        var descriptors = new HashSet<int>();
        foreach (DeviceConfig device in config.Devices)
        {
            if (device.Id is { } id && !ids.Add(id))
                throw new ConfigException($"two devices have the id '{Printable.Line(id)}'");
            if (device is VirtioConfig virtio)
                ValidateIoThreads(virtio.Virtio.IoThreads, threads);
            if (device is FsConfig { Tag: var tag } && !tags.Add(tag))
                throw new ConfigException($"two file systems have the tag '{Printable.Line(tag)}'");
            if (device is NetConfig { Descriptors: { } given } && given.FirstOrDefault(fd => !descriptors.Add(fd), -1) is var twice and >= 0)
                throw new ConfigException($"descriptor {twice} is given to two network interfaces");
        }
    }

    private static void ValidateIde(MachineConfig config)
    {
        int disks = config.Devices.Count(device => device is DiskConfig { Model: DiskModel.Ide });
        if (disks > IdeController.MaxDisks)
            throw new ConfigException($"{disks} IDE disks are more than the {IdeController.MaxDisks} that there is room for", "use model=virtio for the others");
        if (disks > 0 && config.Kind == MachineKind.Microvm)
            throw new ConfigException("a microvm has no PCI and so no IDE disks", "use model=virtio, or --machine pc");
    }

    private static void ValidateIoThreads(IReadOnlyList<string> named, HashSet<string> declared)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in named)
        {
            if (!declared.Contains(name) && !IoThreadConfig.IsNumber(name))
            {
                string? closest = Suggestion.Closest(name, declared);
                throw new ConfigException(
                    $"there is no I/O thread '{Printable.Line(name)}'",
                    closest is null ? $"declare it with --iothread id=NAME, or use a number up to {IoThreadConfig.MaxNumber}" : $"did you mean {closest}?");
            }

            if (!seen.Add(name))
                throw new ConfigException($"I/O thread '{Printable.Line(name)}' is named twice for one device");
        }
    }
}
