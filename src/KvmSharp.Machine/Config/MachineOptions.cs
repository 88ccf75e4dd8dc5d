using System.Globalization;
using System.Text.Json;
using KvmSharp.Machine.Boot;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Config;

/// <summary>The one table of what can be said about a machine. The command line, the file format, the help text and shell completion are made from it.</summary>
public static class MachineOptions
{
    private static readonly OptionKey s_kind = new("kind", OptionKeyKind.Choice, "pc", "microvm");
    private static readonly OptionKey s_protocol = new("protocol", OptionKeyKind.Choice, "auto", "linux", "pvh", "multiboot");
    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "host", "max");
    private static readonly OptionKey s_irqchip = new("irqchip", OptionKeyKind.Choice, "kernel", "split");
    private static readonly OptionKey s_logLevel = new("log-level", OptionKeyKind.Choice, "error", "warning", "info", "debug", "trace");
    private static readonly LogLevel[] s_logLevels = [LogLevel.Error, LogLevel.Warning, LogLevel.Information, LogLevel.Debug, LogLevel.Trace];

    /// <summary>In the order of the help text; each is applied in this order.</summary>
    public static IReadOnlyList<MachineOption> All { get; } =
    [
        Text("name", "Machine", "NAME", "name of the machine in messages (default vm)", c => c.Name, (c, v) => c with { Name = v }),
        new()
        {
            Name = "machine", Group = "Machine", ValueName = "pc|microvm", Keys = [s_kind],
            Help = "pc: PCI, legacy devices and ACPI (default); microvm: no PCI",
            Apply = (c, v) => c with { Kind = (MachineKind)v[^1].Choice(s_kind)! },
            Write = (w, c) => w.WriteString("machine", s_kind.Choices[(int)c.Kind]),
        },
        Path("kernel", "Boot", "FILE", "bzImage, ELF vmlinux (PVH) or Multiboot kernel", c => c.Boot.KernelPath, (c, v) => c with { Boot = c.Boot with { KernelPath = v } }),
        Path("initrd", "Boot", "FILE", "initial RAM disk", c => c.Boot.InitrdPath, (c, v) => c with { Boot = c.Boot with { InitrdPath = v } }),
        Text("append", "Boot", "TEXT", "kernel command line", c => c.Boot.Append.Length == 0 ? null : c.Boot.Append, (c, v) => c with { Boot = c.Boot with { Append = v } }),
        new()
        {
            Name = "module", Group = "Boot", ValueName = "\"FILE [ARGS]\"", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.Words, IsPath = true,
            Keys = [new("path", OptionKeyKind.Text), new("args", OptionKeyKind.Text)],
            Help = "further boot module with its command line",
            Apply = (c, v) => c with { Boot = c.Boot with { Modules = [.. v.Select(m => new BootModule(m.Text("path") ?? throw Needs(m, "path"), m.Text("args")))] } },
            Write = WriteModules,
        },
        new()
        {
            Name = "protocol", Group = "Boot", ValueName = "auto|linux|pvh|multiboot", Keys = [s_protocol],
            Help = "how the kernel is entered (default: what the file is)",
            Apply = (c, v) => c with { Boot = c.Boot with { Protocol = (BootProtocol)v[^1].Choice(s_protocol)! } },
            Write = (w, c) => w.WriteString("protocol", s_protocol.Choices[(int)c.Boot.Protocol]),
        },
        Flag("no-kernel-cache", "Boot", "a bzImage unpacks itself in the guest; the cache of unpacked kernels is left alone", c => c.Boot.NoKernelCache, (c, v) => c with { Boot = c.Boot with { NoKernelCache = v } }),
        new()
        {
            Name = "memory", Group = "Memory and CPUs", Syntax = OptionSyntax.CommaList,
            ValueName = "SIZE[,hugepages=on][,prealloc=on][,lock=on][,mergeable=on][,numa-node=N]",
            Keys =
            [
                new("size", OptionKeyKind.Size), new("hugepages", OptionKeyKind.Boolean), new("prealloc", OptionKeyKind.Boolean),
                new("lock", OptionKeyKind.Boolean), new("mergeable", OptionKeyKind.Boolean), new("numa-node", OptionKeyKind.Integer),
            ],
            Help = "guest memory (default 512M) and how the host provides it",
            Apply = (c, v) => c with { Memory = ReadMemory(v[^1]) },
            Write = WriteMemory,
        },
        new()
        {
            Name = "cpus", Group = "Memory and CPUs", Syntax = OptionSyntax.CommaList, ValueName = "N[,threads=N][,cores=N][,sockets=N]",
            Keys = [new("count", OptionKeyKind.Integer), new("threads", OptionKeyKind.Integer), new("cores", OptionKeyKind.Integer), new("sockets", OptionKeyKind.Integer)],
            Help = "vCPUs (default 1) and their topology",
            Apply = (c, v) => c with { Cpus = ReadTopology(c.Cpus, v[^1]) },
            Write = WriteTopology,
        },
        new()
        {
            Name = "cpu", Group = "Memory and CPUs", Syntax = OptionSyntax.CommaList, ValueName = "host|max[,+FEATURE][,-FEATURE][,vendor=ID][,phys-bits=N]",
            Keys = [s_model, new("features", OptionKeyKind.Features), new("vendor", OptionKeyKind.Text), new("phys-bits", OptionKeyKind.Integer)],
            Help = "what the vCPUs can do (default host)",
            Apply = (c, v) => c with
            {
                Cpus = c.Cpus with
                {
                    Model = (CpuModel)(v[^1].Choice(s_model) ?? 0), Features = v[^1].Features("features"), Vendor = v[^1].Text("vendor"), PhysBits = v[^1].Integer("phys-bits"),
                },
            },
            Write = WriteCpu,
        },
        new()
        {
            Name = "irqchip", Group = "Memory and CPUs", ValueName = "kernel|split", Keys = [s_irqchip],
            Help = "where the I/O APIC lives (default kernel)",
            Apply = (c, v) => c with { Irqchip = (IrqchipMode)v[^1].Choice(s_irqchip)! },
            Write = (w, c) => w.WriteString("irqchip", s_irqchip.Choices[(int)c.Irqchip]),
        },
        new()
        {
            Name = "serial", Group = "Devices", Arity = OptionArity.Repeatable, ValueName = "stdio|file:PATH|pty|unix:PATH|null|none",
            Keys = [new("serial", OptionKeyKind.Char)],
            Help = "COM1, then COM2 to COM4 (default: COM1 on stdio)",
            Apply = (c, v) => c with { Serials = [.. v.Select((s, i) => new SerialConfig(i, s.Char("serial")!))] },
            Write = WriteSerials,
        },
        new()
        {
            Name = "debug-exit", Group = "Devices", Arity = OptionArity.Optional, ValueName = "[PORT]", Keys = [new("port", OptionKeyKind.Port)],
            Help = "writing V to this port (default 0xf4) ends the program with status V << 1 | 1",
            Apply = (c, v) => c with { DebugExitPort = v[^1].Port("port") ?? MachineLayout.DebugExitPort },
            Write = (w, c) => WriteIf(w, "debug-exit", c.DebugExitPort),
        },
        new()
        {
            Name = "debug-console", Group = "Devices", Arity = OptionArity.Optional, Syntax = OptionSyntax.CommaList, ValueName = "[stdio|file:PATH|...][,port=PORT]",
            Keys = [new("char", OptionKeyKind.Char), new("port", OptionKeyKind.Port)],
            Help = "bytes written to this port (default 0xe9) are printed (default stdio)",
            Apply = (c, v) => c with
            {
                DebugConsole = new DebugConsoleConfig(v[^1].Port("port") ?? MachineLayout.DebugConsolePort, v[^1].Char("char") ?? new CharConfig(CharKind.Stdio)),
            },
            Write = WriteDebugConsole,
        },
        IoThreadConfig.Option,
        RngConfig.Option,
        DiskConfig.Option,
        NetConfig.Option,
        FsConfig.Option,
        ConsoleConfig.Option,
        VirtioPortsConfig.Option,
        Flag("test-device", "Devices", "the test device for bare test kernels", c => c.TestDevice, (c, v) => c with { TestDevice = v }),
        Flag("stats", "Running", "print exit counters by reason and by device at the end", c => c.Statistics, (c, v) => c with { Statistics = v }),
        TraceConfig.Option,
        Flag("no-reboot", "Running", "a guest reset ends the program", c => c.NoReboot, (c, v) => c with { NoReboot = v }),
        new()
        {
            Name = "grace", Group = "Running", ValueName = "TIME", Keys = [new("grace", OptionKeyKind.Duration)],
            Help = "how long a guest may take to power off after SIGTERM (default 10s)",
            Apply = (c, v) => c with { Grace = v[^1].Duration("grace")!.Value },
            Write = (w, c) => w.WriteString("grace", c.Grace.TotalMilliseconds.ToString("0.###", CultureInfo.InvariantCulture) + "ms"),
        },
        SandboxConfig.Option,
        Path("cgroup", "Running", "PATH", "the control group (version 2) to join, below /sys/fs/cgroup", c => c.ControlGroup, (c, v) => c with { ControlGroup = v }),
        Path("pidfile", "Running", "FILE", "holds the process id while running", c => c.PidFile, (c, v) => c with { PidFile = v }),
        new()
        {
            Name = "log-level", Group = "Running", ValueName = "error|warning|info|debug|trace", Keys = [s_logLevel],
            Help = "what is reported on standard error (default warning)",
            Apply = (c, v) => c with { LogLevel = s_logLevels[v[^1].Choice(s_logLevel)!.Value] },
            Write = (w, c) => w.WriteString("log-level", s_logLevel.Choices[Math.Max(0, Array.IndexOf(s_logLevels, c.LogLevel))]),
        },
        Path("kvm-device", "Running", "FILE", "the KVM device (default /dev/kvm)", c => c.KvmDevice, (c, v) => c with { KvmDevice = v }),
    ];

    public static MachineOption? Find(string name)
    {
        foreach (MachineOption option in All)
        {
            if (option.Name == name)
                return option;
        }

        return null;
    }

    private static MachineOption Text(string name, string group, string valueName, string help, Func<MachineConfig, string?> get, Func<MachineConfig, string, MachineConfig> set) =>
        TextOption(name, group, valueName, help, isPath: false, (get, set));

    private static MachineOption Path(string name, string group, string valueName, string help, Func<MachineConfig, string?> get, Func<MachineConfig, string, MachineConfig> set) =>
        TextOption(name, group, valueName, help, isPath: true, (get, set));

    private static MachineOption TextOption(
        string name, string group, string valueName, string help, bool isPath, (Func<MachineConfig, string?> Get, Func<MachineConfig, string, MachineConfig> Set) property) => new()
    {
        Name = name, Group = group, ValueName = valueName, Help = help, IsPath = isPath, Keys = [new(name, OptionKeyKind.Text)],
        Apply = (c, v) => v[^1].Text(name) is { } text && (!isPath || text.Length > 0) ? property.Set(c, text) : throw new ConfigException($"{v[^1].Where}: the path is empty"),
        Write = (w, c) =>
        {
            if (property.Get(c) is { } value)
                w.WriteString(name, value);
        },
    };

    private static MachineOption Flag(string name, string group, string help, Func<MachineConfig, bool> get, Func<MachineConfig, bool, MachineConfig> set) => new()
    {
        Name = name, Group = group, Help = help, Arity = OptionArity.Flag,
        Apply = (c, _) => set(c, true),
        Write = (w, c) => w.WriteBoolean(name, get(c)),
    };

    private static ConfigException Needs(OptionValues values, string key) => new($"{values.Where}: {key} is missing");

    private static MemoryConfig ReadMemory(OptionValues v) => new()
    {
        SizeBytes = v.Size("size") ?? new MemoryConfig().SizeBytes,
        HugePages = v.Boolean("hugepages") ?? false,
        Preallocate = v.Boolean("prealloc") ?? false,
        Lock = v.Boolean("lock") ?? false,
        Mergeable = v.Boolean("mergeable") ?? false,
        NumaNode = v.Integer("numa-node"),
    };

    private static CpuConfig ReadTopology(CpuConfig cpus, OptionValues v)
    {
        int? threads = v.Integer("threads"), cores = v.Integer("cores"), sockets = v.Integer("sockets");
        int count = v.Integer("count") ?? (int)Math.Min(int.MaxValue, Math.BigMul(threads ?? 1, cores ?? 1) * Math.Max(0L, sockets ?? 1));
        if (count < 1 || threads is < 1 || cores is < 1 || sockets is < 1)
            throw new ConfigException($"{v.Where}: cpus, threads, cores and sockets must be at least 1");
        int t = threads ?? 1;
        int s = sockets ?? (cores is { } given ? (int)Math.Max(1, count / Math.Max(1L, (long)given * t)) : 1);
        int c = cores ?? (int)Math.Max(1, count / Math.Max(1L, (long)s * t));
        return cpus with { Count = count, Threads = t, Cores = c, Sockets = s };
    }

    private static void WriteIf(Utf8JsonWriter w, string name, ushort? port)
    {
        if (port is { } value)
            w.WriteString(name, $"0x{value:x}");
    }

    private static void WriteModules(Utf8JsonWriter w, MachineConfig c) => w.WriteObjects("module", c.Boot.Modules, module =>
    {
        w.WriteString("path", module.Path);
        if (module.CommandLine is { } args)
            w.WriteString("args", args);
    });

    private static void WriteMemory(Utf8JsonWriter w, MachineConfig c)
    {
        w.WriteStartObject("memory");
        w.WriteString("size", SizeText.Format(c.Memory.SizeBytes));
        w.WriteBoolean("hugepages", c.Memory.HugePages);
        w.WriteBoolean("prealloc", c.Memory.Preallocate);
        w.WriteBoolean("lock", c.Memory.Lock);
        w.WriteBoolean("mergeable", c.Memory.Mergeable);
        if (c.Memory.NumaNode is { } node)
            w.WriteNumber("numa-node", node);
        w.WriteEndObject();
    }

    private static void WriteTopology(Utf8JsonWriter w, MachineConfig c)
    {
        w.WriteStartObject("cpus");
        w.WriteNumber("count", c.Cpus.Count);
        w.WriteNumber("threads", c.Cpus.Threads);
        w.WriteNumber("cores", c.Cpus.Cores);
        w.WriteNumber("sockets", c.Cpus.Sockets);
        w.WriteEndObject();
    }

    private static void WriteCpu(Utf8JsonWriter w, MachineConfig c)
    {
        w.WriteStartObject("cpu");
        w.WriteString("model", s_model.Choices[(int)c.Cpus.Model]);
        w.WriteStartArray("features");
        foreach (CpuFeature feature in c.Cpus.Features)
            w.WriteStringValue(feature.ToString());
        w.WriteEndArray();
        if (c.Cpus.Vendor is { } vendor)
            w.WriteString("vendor", vendor);
        if (c.Cpus.PhysBits is { } bits)
            w.WriteNumber("phys-bits", bits);
        w.WriteEndObject();
    }

    private static void WriteSerials(Utf8JsonWriter w, MachineConfig c)
    {
        w.WriteStartArray("serial");
        foreach (SerialConfig serial in c.Serials)
            w.WriteStringValue(serial.Char.ToString());
        w.WriteEndArray();
    }

    private static void WriteDebugConsole(Utf8JsonWriter w, MachineConfig c)
    {
        if (c.DebugConsole is not { } console)
            return;
        w.WriteStartObject("debug-console");
        w.WriteString("char", console.Char.ToString());
        w.WriteString("port", $"0x{console.Port:x}");
        w.WriteEndObject();
    }
}
