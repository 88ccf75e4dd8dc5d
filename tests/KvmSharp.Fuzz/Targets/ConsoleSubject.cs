using KvmSharp.Core.Chars;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Devices.Console;

namespace KvmSharp.Fuzz.Targets;

/// <summary>A console and two ports for programs, with control queues.</summary>
internal sealed class ConsoleSubject : IVirtioSubject
{
    private readonly FakeCharBackend[] _hosts = [new() { KeepsOutput = false }, new() { KeepsOutput = false }, new() { KeepsOutput = false }];

    public int ProbeQueue => 1;

    public DriverBuffer[] ProbeBuffers { get; } = [new(FuzzGuest.Data, 4, false)];

    public IVirtioDevice Create(EventLoop loop) => new VirtioConsoleDevice(new VirtioConsoleOptions
    {
        Name = "console",
        Multiport = true,
        QueueSize = HostileRing.MaxSize,
        MaxStallNs = 100_000,
        Ports = [new(0, _hosts[0]) { IsConsole = true }, new(1, _hosts[1]) { PortName = "one" }, new(2, _hosts[2])],
    }, loop);

    public void AddRequest(FuzzScript script, GuestMemory memory, HostileRing ring)
    {
        byte shape = script.U8();
        ulong at = FuzzGuest.Data + (ulong)(shape & 15) * 0x100;
        if ((shape & 0x40) != 0)
        {
            ring.AddChain(script, [(at, 64, true), (at + 64, script.U8(), true)]);
            return;
        }

        // A control message: port, event, value.
        memory.TryWrite(new GuestAddress(at), (uint)((shape & 0x20) != 0 ? script.Number() : script.U8() % 4u));
        memory.TryWrite(new GuestAddress(at + 4), (ushort)(script.U8() % 9));
        memory.TryWrite(new GuestAddress(at + 6), script.U8());
        ring.AddChain(script, [(at, (shape & 0x10) != 0 ? script.U8() : 8u, false)]);
    }

    public void Restore()
    {
        foreach (FakeCharBackend host in _hosts)
            (host.Room, host.IsConnected) = (int.MaxValue, true);
    }

    public void OnHost(FuzzScript script)
    {
        byte what = script.U8();
        FakeCharBackend host = _hosts[what % _hosts.Length];
        Span<byte> text = stackalloc byte[40];
        switch (what >> 6)
        {
            case 0:
                script.Fill(text[..(what & 31)]);
                host.Feed(text[..(what & 31)]);
                break;
            case 1:
                host.Room = script.U8();
                break;
            case 2:
                host.Room = int.MaxValue;
                host.Raise(CharEvent.Writable);
                break;
            default:
                host.IsConnected = (what & 8) != 0;
                host.Size = new TerminalSize(script.U8(), script.U8());
                host.Raise((CharEvent)(script.U8() & 15));
                break;
        }
    }
}
