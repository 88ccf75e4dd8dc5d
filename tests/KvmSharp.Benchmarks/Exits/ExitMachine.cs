using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Kvm;
using KvmSharp.Kvm.Vcpus;

namespace KvmSharp.Benchmarks.Exits;

/// <summary>A VM with the payload, one device on a bus that holds as many others as a real machine's, and one vCPU.</summary>
public static class ExitMachine
{
    /// <summary>Runs the payload of <paramref name="kind"/> and returns the nanoseconds per exit of each batch.</summary>
    public static double[] Measure(string kind, byte[] code, int batches, int writesPerBatch)
    {
        using KvmSystem system = KvmSystem.Open();
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = ExitPayload.MemorySize });
        using KvmVm vm = KvmVm.Create(system, new KvmVmOptions { Irqchip = IrqchipMode.None, WithPit = false });
        vm.AddMemory(memory);
        if (!memory.TryWrite(new GuestAddress(ExitPayload.Address), code))
        {
            throw new InvalidOperationException("the payload does not fit");
        }

        using var clock = new BatchClock(batches, writesPerBatch);
        var counters = new DeviceExitCounters(1);
        var pio = new PioBus(counters);
        var mmio = new MmioBus(counters);
        pio.Register(ExitPayload.Port, 4, clock, "clock");
        mmio.Register(ExitPayload.Mmio, 0x1000, clock, "clock");
        using var others = new BatchClock(1, 1);
        AddNeighbours(pio, mmio, others);
        var events = new VcpuEvents();
        using Vcpu vcpu = vm.CreateVcpu(0, new VcpuOptions(), new BusExitHandler(pio, mmio, counters), events);
        vcpu.SetSregs(Segments(vcpu.GetSregs()));
        vcpu.SetRegs(new kvm_regs { rip = ExitPayload.Address, rflags = 2, rcx = (ulong)batches * (ulong)writesPerBatch + 1, rdx = ExitPayload.Port });
        vcpu.Start();
        if (!clock.Done.Wait(TimeSpan.FromSeconds(60)))
        {
            throw new InvalidOperationException($"the {kind} payload does not come to its end: {events.Failure}");
        }

        vcpu.Stop();
        return clock.NanosecondsPerExit();
    }

    private static kvm_sregs Segments(kvm_sregs sregs)
    {
        sregs.cs.@base = 0;
        sregs.cs.selector = 0;
        sregs.ds.@base = ExitPayload.Mmio;
        sregs.ds.selector = (ushort)(ExitPayload.Mmio >> 4);
        return sregs;
    }

    // Look-up costs what it costs in a machine with two dozen ranges.
    private static void AddNeighbours(PioBus pio, MmioBus mmio, BatchClock device)
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
