using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Rng;

namespace KvmSharp.Fuzz.Targets;

/// <summary>The entropy device.</summary>
internal sealed class RngSubject : IVirtioSubject
{
    public int ProbeQueue => 0;

    public DriverBuffer[] ProbeBuffers { get; } = [new(FuzzGuest.Data, 32, true)];

    public IVirtioDevice Create(EventLoop loop) => new VirtioRng(loop, new VirtioRngOptions { QueueSize = HostileRing.MaxSize });

    public void AddRequest(FuzzScript script, GuestMemory memory, HostileRing ring) =>
        ring.AddChain(script, [(FuzzGuest.Data + script.U16(), script.U16(), true), (FuzzGuest.Data + script.U16(), script.U8(), script.Flag())]);

    public void OnHost(FuzzScript script)
    {
    }

    public void Restore()
    {
    }
}
