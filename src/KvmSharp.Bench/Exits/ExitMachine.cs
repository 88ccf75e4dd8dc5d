using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Kvm;
using KvmSharp.Kvm.Vcpus;

namespace KvmSharp.Bench.Exits;

/// <summary>A VM with the payload, one device on a bus that holds as many others as a real machine's, and one vCPU.</summary>
internal static class ExitMachine
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>Runs the code of <paramref name="kind"/> and returns the nanoseconds per exit of each batch.</summary>
    public static double[] Measure(ExitKind kind, int batches, int perBatch)
    {
        using KvmSystem system = KvmSystem.Open();
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = ExitGuest.MemoryBytes });
        bool interrupts = kind.Interrupt != ExitInterrupt.None;
        using KvmVm vm = KvmVm.Create(system, new KvmVmOptions { Irqchip = interrupts ? IrqchipMode.Kernel : IrqchipMode.None, WithPit = false });
        vm.AddMemory(memory);
        vm.CreateInterruptControllers();
        if (!memory.TryWrite(new GuestAddress(ExitGuest.Code), kind.Code) || !memory.TryWrite(new GuestAddress(4UL * ExitGuest.Vector), (uint)ExitGuest.Handler))
            throw new InvalidOperationException("the payload does not fit");

        using var clock = new ExitClock(batches, perBatch);
        using IMsiVector? vector = kind.Interrupt == ExitInterrupt.Irqfd ? vm.Interrupts.AllocateMsi() : null;
        vector?.SetMessage(ExitGuest.LocalApic, ExitGuest.Vector);
        vector?.SetMasked(false);
        clock.Vector = vector;
        clock.Messages = kind.Interrupt == ExitInterrupt.Msi ? vm.Interrupts : null;
        using EventFd? rung = kind.HasDoorbell ? new EventFd() : null;
        using IDisposable? doorbell = rung is null ? null : vm.Doorbells.RegisterPio(ExitGuest.Doorbell, 1, null, rung);
        Run(kind, vm, clock, (ulong)batches * (ulong)perBatch + 1);
        return clock.NanosecondsPerExit();
    }

    private static void Run(ExitKind kind, KvmVm vm, ExitClock clock, ulong exits)
    {
        var counters = new DeviceExitCounters(1);
        var pio = new PioBus(counters);
        var mmio = new MmioBus(counters);
        pio.Register(ExitGuest.Port, 4, clock, "clock");
        mmio.Register(ExitGuest.Mmio, 0x1000, clock, "clock");
        using var others = new ExitClock(1, 1);
        AddNeighbours(pio, mmio, others);
        var events = new ExitEvents();
        using Vcpu vcpu = vm.CreateVcpu(0, new VcpuOptions(), new BusExitHandler(pio, mmio, counters), events);
        vcpu.SetSregs(Segments(vcpu.GetSregs()));
        vcpu.SetRegs(new kvm_regs { rip = ExitGuest.Code, rflags = 2, rsi = exits, rdx = ExitGuest.Port, rsp = ExitGuest.Stack });
        vcpu.Start();
        if (!clock.Done.Wait(s_patience))
            throw new BenchException($"the guest of {kind.Path} does not come to its end{(events.Failure is { } failure ? $": {failure}" : "")}");
        vcpu.Stop();
    }

    private static kvm_sregs Segments(kvm_sregs sregs)
    {
        sregs.cs.@base = 0;
        sregs.cs.selector = 0;
        sregs.ds.@base = ExitGuest.Mmio;
        sregs.ds.selector = (ushort)(ExitGuest.Mmio >> 4);
        sregs.es.@base = ExitGuest.LocalApic;
        return sregs;
    }

    // Look-up costs what it costs in a machine with two dozen ranges.
    private static void AddNeighbours(PioBus pio, MmioBus mmio, ExitClock device)
    {
        for (int i = 0; i < 12; i++)
        {
            pio.Register((ushort)(i * 8), 8, device, "below");
            pio.Register((ushort)(0x1000 + i * 64), 64, device, "above");
            mmio.Register(0xC000_0000 + (ulong)i * 0x1_0000, 0x1000, device, "above");
            mmio.Register(0x2_0000 + (ulong)i * 0x1000, 0x1000, device, "below");
        }
    }
}
