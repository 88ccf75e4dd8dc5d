using System.Collections.Concurrent;
using Iced.Intel;
using KvmSharp.Core.Chars;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>A folder for kernels and what it takes to run them on whole machines whose character devices end in the test.</summary>
public abstract class BareFixture : IDisposable
{
    /// <summary>Far more than any payload needs: a machine that takes longer hangs.</summary>
    protected static readonly TimeSpan Guard = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<string, ICharBackend> _backends = new();
    private int _files;

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("kvmsharp-bare-").FullName;

    /// <summary>The debug console's host end.</summary>
    private protected FakeCharBackend Console => Backend("debugcon");

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>The backend that a device with <see cref="Char"/> of this name gets.</summary>
    private protected FakeCharBackend Backend(string name) => (FakeCharBackend)_backends.GetOrAdd(name, _ => new FakeCharBackend());

    private protected void SetBackend(string name, ICharBackend backend) => _backends[name] = backend;

    private protected static CharConfig Char(string name) => new(CharKind.File, name);

    private protected string WriteFile(byte[] contents)
    {
        string path = Path.Combine(Folder, $"file{_files++}");
        File.WriteAllBytes(path, contents);
        return path;
    }

    private protected MachineConfig Config(Action<Assembler> payload) => Config(BareKernel.Elf(payload));

    private protected MachineConfig Config(byte[] kernel) => new()
    {
        Boot = new BootConfig { KernelPath = WriteFile(kernel) },
        Memory = new MemoryConfig { SizeBytes = 16 << 20 },
        DebugExitPort = GuestCode.ExitPort,
        DebugConsole = new DebugConsoleConfig(GuestCode.ConsolePort, Char("debugcon")),
        NoReboot = true, // a payload that goes wrong ends instead of starting over and over
    };

    private protected static CpuConfig Cpus(int count) => new() { Count = count, Cores = count };

    private protected Machine Create(MachineConfig config) => Machine.Create(config, Host());

    private protected MachineHost Host() => new()
    {
        Loggers = NullLoggerFactory.Instance,
        OpenChar = (_, c) => _backends.GetOrAdd(c.Path!, _ => new FakeCharBackend()),
    };

    private protected BareRun Run(Action<Assembler> payload) => Run(Config(payload));

    private protected BareRun Run(MachineConfig config)
    {
        using Machine machine = Create(config);
        MachineExit exit = Finish(machine, Start(machine));
        return new BareRun(exit, Console.Output);
    }

    /// <summary>Runs the machine on a thread of its own.</summary>
    private protected static Task<MachineExit> Start(Machine machine) =>
        Task.Factory.StartNew(machine.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>The machine's end; one that does not come by itself fails the test.</summary>
    private protected static MachineExit Finish(Machine machine, Task<MachineExit> run)
    {
        if (run.Wait(Guard))
            return run.Result;
        machine.RequestStop();
        Assert.Fail(run.Wait(Guard) ? "the guest did not come to an end" : "the machine did not stop when told to");
        return null!;
    }

    /// <summary>Waits for something that is about to happen in the guest.</summary>
    private protected static void WaitFor(Func<bool> condition) =>
        Assert.True(SpinWait.SpinUntil(() => { Thread.Sleep(1); return condition(); }, Guard), "nothing came in time");
}
