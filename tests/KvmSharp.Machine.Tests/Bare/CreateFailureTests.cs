using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Kvm;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>What Machine.Create says to what cannot be, and that it leaves nothing behind.</summary>
[Collection(nameof(ProcessWideTests))]
public sealed class CreateFailureTests : BareFixture
{
    public static TheoryData<string> Faults => [.. Changes.Keys];

    private static readonly Dictionary<string, Func<CreateFailureTests, MachineConfig, MachineConfig>> Changes = new()
    {
        ["no kernel"] = (_, c) => c with { Boot = new BootConfig() },
        ["kernel missing"] = (t, c) => c with { Boot = c.Boot with { KernelPath = Path.Combine(t.Folder, "nowhere") } },
        ["kernel is a folder"] = (t, c) => c with { Boot = c.Boot with { KernelPath = t.Folder } },
        ["kernel empty"] = (t, c) => c with { Boot = c.Boot with { KernelPath = t.WriteFile([]) } },
        ["kernel is text"] = (t, c) => c with { Boot = c.Boot with { KernelPath = t.WriteFile("#!/bin/sh\n"u8.ToArray()) } },
        ["kernel path with NUL"] = (_, c) => c with { Boot = c.Boot with { KernelPath = "a\0b" } },
        ["module missing"] = (t, c) => c with { Boot = c.Boot with { Modules = [new BootModule(Path.Combine(t.Folder, "nowhere"))] } },
        ["initrd too big"] = (t, c) => c with { Boot = c.Boot with { InitrdPath = t.WriteFile(new byte[17 << 20]) } },
        ["command line too long"] = (_, c) => c with { Boot = c.Boot with { Append = new string('x', 1 << 20) } },
        ["command line with NUL"] = (_, c) => c with { Boot = c.Boot with { Append = "a\0b" } },
        ["no memory"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = 0 } },
        ["odd memory"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = (16 << 20) + 1 } },
        ["memory of 1 MiB"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = 1 << 20 } },
        ["memory beyond phys-bits"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = 4UL << 30 }, Cpus = new CpuConfig { PhysBits = 32 } },
        ["memory beyond any host"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = ulong.MaxValue - 4095 } },
        ["huge pages and mergeable"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = 16 << 20, HugePages = true, Mergeable = true } },
        ["numa node absent"] = (_, c) => c with { Memory = new MemoryConfig { SizeBytes = 16 << 20, NumaNode = 1000 } },
        ["no cpus"] = (_, c) => c with { Cpus = new CpuConfig { Count = 0 } },
        ["cpus beyond the limit"] = (_, c) => c with { Cpus = Cpus(MachineConfigValidator.MaxCpus + 1) },
        ["cpus beyond KVM"] = (_, c) => c with { Cpus = Cpus(MachineConfigValidator.MaxCpus) },
        ["cpus not a product"] = (_, c) => c with { Cpus = new CpuConfig { Count = 3, Cores = 2 } },
        ["cpu feature unknown"] = (_, c) => c with { Cpus = new CpuConfig { Features = [new CpuFeature("nonsense", true)] } },
        ["cpu vendor"] = (_, c) => c with { Cpus = new CpuConfig { Vendor = "short" } },
        ["phys-bits"] = (_, c) => c with { Cpus = new CpuConfig { PhysBits = 53 } },
        ["KVM missing"] = (t, c) => c with { KvmDevice = Path.Combine(t.Folder, "kvm") },
        ["KVM is another device"] = (_, c) => c with { KvmDevice = "/dev/null" },
        ["KVM is a folder"] = (t, c) => c with { KvmDevice = t.Folder },
        ["KVM forbidden"] = (_, c) => c with { KvmDevice = "/proc/sys/kernel/ostype" },
        ["KVM path empty"] = (_, c) => c with { KvmDevice = "" },
        ["KVM path with NUL"] = (_, c) => c with { KvmDevice = "/dev/kvm\0" },
        ["debug-exit on a taken port"] = (_, c) => c with { DebugExitPort = 0x60 },
        ["debug-exit over a taken port"] = (_, c) => c with { DebugExitPort = 0xCF6 },
        ["debug-exit past the last port"] = (_, c) => c with { DebugExitPort = 0xFFFE },
        ["debug console on a taken port"] = (_, c) => c with { DebugConsole = new DebugConsoleConfig(0x70, Char("debugcon")) },
        ["debug console within debug-exit"] = (_, c) => c with { DebugConsole = new DebugConsoleConfig(GuestCode.ExitPort + 1, Char("debugcon")) },
        ["test device over debug-exit"] = (_, c) => c with { TestDevice = true, DebugExitPort = 0xE2 },
        ["name"] = (_, c) => c with { Name = "a b" },
        ["serial index"] = (_, c) => c with { Serials = [new SerialConfig(4, Char("com5"))] },
        ["character device fails"] = (_, c) => c with { Serials = [new SerialConfig(0, Char("fails"))] },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void Create_WhatCannotBe_ThrowsOneLine(string fault)
    {
        MachineConfig config = Changes[fault](this, Good());

        Exception e = Assert.ThrowsAny<Exception>(() => CreateHere(config).Dispose());

        Assert.True(e is ConfigException or BootException or KvmUnsupportedException or LinuxException or BackendException, e.ToString());
        Assert.NotEmpty(e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void Create_FailedInEveryWay_LeaksNothing()
    {
        foreach (Func<CreateFailureTests, MachineConfig, MachineConfig> change in Changes.Values)
            TryCreate(change(this, Good()));
        int descriptors = Descriptors(), threads = Threads();

        for (int i = 0; i < 2; i++)
        {
            foreach (Func<CreateFailureTests, MachineConfig, MachineConfig> change in Changes.Values)
                TryCreate(change(this, Good()));
        }

        AssertNoMore(descriptors, threads);
    }

    [Fact]
    public void Create_DisposedWithoutRun_LeaksNothing()
    {
        MachineConfig config = Good() with
        {
            Cpus = Cpus(2),
            TestDevice = true,
            Serials = [new SerialConfig(0, Char("com1")), new SerialConfig(2, Char("com3"))],
        };
        CreateHere(config).Dispose();
        int descriptors = Descriptors(), threads = Threads();

        for (int i = 0; i < 50; i++)
            CreateHere(config with { Irqchip = i % 2 == 0 ? KvmSharp.Machine.Config.IrqchipMode.Kernel : KvmSharp.Machine.Config.IrqchipMode.Split }).Dispose();

        AssertNoMore(descriptors, threads);
    }

    [Fact]
    public void Run_ManyMachinesAndResets_LeaksNothing()
    {
        var oracle = new ScriptedBackend(boot => (byte)(boot % 4 == 0 ? 'E' : 'R'));
        SetBackend("com1", oracle);
        MachineConfig config = Config(PowerCycleTests.ResetUntilTold) with { Cpus = Cpus(2), NoReboot = false, Serials = [new SerialConfig(0, Char("com1"))] };
        Run(config);
        int descriptors = Descriptors(), threads = Threads();

        for (int i = 0; i < 10; i++)
            Run(config);

        Assert.Equal(44, oracle.Count);
        AssertNoMore(descriptors, threads);
    }

    private MachineConfig Good() => Config(a => a.Exit(0));

    private Machine CreateHere(MachineConfig config)
    {
        MachineHost host = Host();
        return Machine.Create(config, host with
        {
            OpenChar = (use, c) => c.Path == "fails" ? throw new BackendException("cannot open it") : host.OpenChar(use, c),
        });
    }

    private void TryCreate(MachineConfig config)
    {
        try
        {
            CreateHere(config).Dispose();
        }
        catch (Exception)
        {
            // Another test says which.
        }
    }

    private static int Descriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Length;

    /// <summary>Threads of machines, by name: the runtime's own come and go.</summary>
    private static int Threads() => ThreadFolders.Find("vcpu").Count;

    private static void AssertNoMore(int descriptors, int threads)
    {
        Assert.Equal(threads, Threads());
        // The test host opens a few of its own meanwhile; a leak would come to one per machine at least.
        Assert.InRange(Descriptors(), 0, descriptors + 5);
    }
}
