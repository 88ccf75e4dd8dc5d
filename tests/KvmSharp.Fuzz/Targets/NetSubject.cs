using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Fuzz.Targets;

/// <summary>A network interface with all offloads and a control queue.</summary>
internal sealed class NetSubject : IVirtioSubject
{
    private readonly FuzzNet _net = new();

    public int ProbeQueue => 1;

    public DriverBuffer[] ProbeBuffers { get; } = [new(FuzzGuest.Data, 12 + 64, false)];

    public IVirtioDevice Create(EventLoop loop) =>
        new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(0x5254_0012_3456), QueueSize = HostileRing.MaxSize, LinkCheckNs = 0 }, _net, [loop]);

    public void AddRequest(FuzzScript script, GuestMemory memory, HostileRing ring)
    {
        byte shape = script.U8();
        ulong at = FuzzGuest.Data + (ulong)(shape & 15) * 0x1000;
        Span<byte> head = stackalloc byte[32];
        script.Fill(head[..((shape & 0x30) == 0x30 ? 32 : 12)]);
        switch (shape >> 6)
        {
            case 0: // to be filled
                ring.AddChain(script, [(at, 2048, true)]);
                break;
            case 1: // control: class, command, data, acknowledgement
                head[0] %= 6;
                head[1] %= 6;
                memory.TryWrite(new GuestAddress(at), head);
                ring.AddChain(script, [(at, 2, false), (at + 2, script.U8(), false), (at + 0x800, 1, true)]);
                break;
            case 2: // a packet with its header
                memory.TryWrite(new GuestAddress(at), head);
                ring.AddChain(script, [(at, 12, false), (at + 12, script.U16(), false)]);
                break;
            default:
                memory.TryWrite(new GuestAddress(at), head);
                ring.AddChain(script, [(at, script.U8(), false), (at + 0x400, script.U8(), false), (at + 0x800, (uint)script.Number(), script.Flag())]);
                break;
        }
    }

    public void OnHost(FuzzScript script) => _net.OnHost(script);

    public void Restore() => _net.Clear();
}
