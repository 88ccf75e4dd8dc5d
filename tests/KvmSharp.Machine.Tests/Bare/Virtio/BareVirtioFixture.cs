using Iced.Intel;
using KvmSharp.Machine.Config;

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

    /// <summary>Exits that the device has caused.</summary>
    private protected static long Exits(Machine machine, string device) => machine.ReadStatistics().ExitsByDevice.Single(d => d.Name == device).Count;
}
