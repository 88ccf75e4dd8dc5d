using Iced.Intel;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>Machines with one virtio device and a payload that drives it.</summary>
public abstract class BareVirtioFixture : BareFixture
{
    protected const ulong Version1 = 1UL << 32, RingPacked = 1UL << 34, IndirectDesc = 1UL << 28;

    /// <summary>The features that such a ring takes.</summary>
    private protected static ulong RingFeatures(GuestRing ring) =>
        Version1 | (ring.Packed ? RingPacked : 0) | (ring.Indirect ? IndirectDesc : 0);

    private protected MachineConfig Config(MachineKind kind, DeviceConfig device, Action<Assembler> payload, params (uint Address, byte[] Data)[] segments) =>
        Config(UserKernel.Elf(payload, segments)) with { Kind = kind, Devices = [device] };

    /// <summary>Runs the machine to its ordinary end: the dwords that its payload stored, and what it cost.</summary>
    private protected (uint[] Words, MachineStatistics Statistics) RunCounted(MachineConfig config)
    {
        var console = new FakeCharBackend(); // the machine takes its backend with it
        SetBackend("debugcon", console);
        using Machine machine = Create(config);
        MachineExit exit = Finish(machine, Start(machine));
        return (new BareRun(exit, console.Output).Words, machine.ReadStatistics());
    }
}
