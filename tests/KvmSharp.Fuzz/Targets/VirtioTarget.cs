using System.Diagnostics;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Fuzz.Engine;
using KvmSharp.TestKit.Fakes;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// A whole virtio device behind its transport, with a driver that owns the guest: registers, feature negotiation, rings, resets, pauses,
/// host events, and a second vCPU that writes to the rings while the device works on its own thread.
/// </summary>
internal sealed class VirtioTarget : IFuzzTarget
{
    private const ulong MmioAddress = 0xD000_0000;
    private const int MaxQueues = 5;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private readonly IVirtioSubject _subject;
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = FuzzGuest.Bytes });
    private readonly FuzzLoop _loop = new();
    private readonly MmioBus _bus = new();
    private readonly PioBus _pio = new();
    private readonly FakeInterruptFabric _interrupts = new();
    private readonly PciRoot? _root;
    private readonly VirtioPciTransport? _pci;
    private readonly VirtioMmioTransport? _mmio;
    private readonly VirtioTransportDriver _driver;
    private readonly HostileRing?[] _rings;
    private readonly Racer _racer = new();

    internal VirtioTarget(IVirtioSubject subject, bool pci)
    {
        const ulong Rings = VirtioFeatures.Ring | VirtioFeatures.RingReset | VirtioFeatures.NotificationData;
        _subject = subject;
        IVirtioDevice device = subject.Create(_loop.Loop);
        _rings = new HostileRing?[Math.Min(MaxQueues, device.Identity.QueueSizes.Count)];
        FakeDoorbellFabric doorbells = new();
        VirtioTransportOptions options = new() { RingFeatures = Rings };
        if (!pci)
        {
            _mmio = new VirtioMmioTransport(device, _memory, MmioAddress, _interrupts.GetLine(9), doorbells, options);
            _bus.Register(MmioAddress, VirtioMmioTransport.Length, _mmio, "virtio-mmio");
            _driver = new VirtioMmioDriver(_bus, MmioAddress);
            return;
        }

        PciWindows windows = new()
        {
            Memory32Start = 0xC000_0000, Memory32Length = 0x1000_0000, Memory64Start = 0x10_0000_0000, Memory64Length = 0x10_0000_0000, IoStart = 0x1000, IoLength = 0x1000,
        };
        _root = new PciRoot(_pio, _bus, windows, new PciInterruptRouter(_interrupts, 16));
        _pio.Register(PciConfigPorts.FirstPort, PciConfigPorts.PortCount, _root.ConfigPorts, "pci-config");
        _pci = new VirtioPciTransport(device, _memory, _interrupts, doorbells, options);
        _root.Attach(_pci.Function);
        _pci.Function.WriteConfig(PciRegisters.InterruptLine, [0]);
        _driver = new VirtioPciDriver(_bus, _pci.Function);
    }

    public void Run(FuzzScript script)
    {
        byte how = script.U8();
        if ((how & 0x10) != 0 && _driver is VirtioPciDriver driver)
            driver.EnableMsix();
        ulong offered = _driver.OfferedFeatures;
        ulong features = (how & 3) switch
        {
            0 => VirtioFeatures.Version1,
            1 => offered & ~VirtioFeatures.RingPacked,
            2 => offered,
            _ => VirtioFeatures.Version1 | (offered & (script.U64() ^ 0xFFFF_FFFF)),
        };
        if ((how & 0x0C) != 0x0C || script.Flag())
            _driver.Negotiate(features);
        byte queues = (byte)(script.U8() | 1 << _subject.ProbeQueue);
        for (int i = 0; i < _rings.Length; i++)
        {
            _rings[i] = null;
            if ((queues & (1 << i)) != 0)
                SetUp(script, i, (features & VirtioFeatures.RingPacked) != 0);
        }

        if ((how & 0x20) == 0 || script.Flag())
            _driver.SetDriverOk();
        bool race = (how & 0xC0) == 0xC0;
        if (race)
            _racer.Start(_memory, FuzzGuest.Rings, HostileRing.Bytes * (ulong)_rings.Length, script.U8());
        try
        {
            while (!script.AtEnd)
                Do(script);
            _loop.Settle();
        }
        finally
        {
            if (race)
                _racer.Stop();
            Reset();
        }
    }

    public void Probe()
    {
        FuzzFailure.Unless(_driver.Negotiate(VirtioFeatures.Version1), "the device refuses a good driver after a reset");
        _memory.TryGetSpan(new GuestAddress(FuzzGuest.Data), 0x1000, out Span<byte> data);
        data.Clear();
        DriverQueue queue = DriverQueue.Create(_memory, FuzzGuest.Rings, 8, VirtioFeatures.Version1);
        _driver.SetUpQueue(_subject.ProbeQueue, queue);
        _driver.SetDriverOk();
        FuzzFailure.Unless(queue.TryAdd(_subject.ProbeBuffers, 1), "a fresh queue is full");
        queue.Publish();
        _driver.KickByExit(_subject.ProbeQueue);
        long start = Stopwatch.GetTimestamp();
        while (!queue.TryTakeUsed(out _, out _))
        {
            _loop.Check();
            FuzzFailure.Unless(Stopwatch.GetElapsedTime(start) < s_patience, "the device does not serve a good driver after a reset");
            _loop.Settle();
        }

        Reset();
    }

    public void Dispose()
    {
        _racer.Dispose();
        _root?.Dispose();
        _pci?.Dispose();
        _mmio?.Dispose();
        _loop.Dispose();
        foreach (FakeMsiVector vector in _interrupts.Vectors)
            vector.Trigger.Dispose();
        _memory.Dispose();
    }

    private void Do(FuzzScript script)
    {
        byte op = script.U8();
        int index = (op >> 4) % _rings.Length;
        HostileRing? ring = _rings[index];
        switch (op & 15)
        {
            case 0 or 1 or 2 when ring is not null:
                ring.AddChain(script);
                Kick(index, op);
                break;
            case 3 or 4 or 5 when ring is not null:
                _subject.AddRequest(script, _memory, ring);
                Kick(index, op);
                break;
            case 6 when ring is not null:
                ring.Scribble(script);
                break;
            case 7 when ring is not null:
                ring.Jump(script);
                break;
            case 8:
                _loop.Settle();
                break;
            case 9:
                _driver.Write(Register(script), (uint)script.Number(), 1 << (op >> 4) % 3);
                break;
            case 10:
                script.Observe(5, _driver.Read(Register(script), 1 << (op >> 4) % 3));
                break;
            case 11:
                _driver.Write(_driver.ConfigAddress + script.U8() % 70u, (uint)script.Number(), 1 << (op >> 4) % 3);
                script.Observe(6, _driver.Read(_driver.ConfigAddress + script.U8() % 70u, 4) & 0xFF);
                break;
            case 12:
                _subject.OnHost(script);
                break;
            case 13:
                ResetSome(script, index, op);
                break;
            case 14 when _pci is not null:
                Configure(script);
                break;
            case 15 when op >= 0xC0:
                Pause();
                break;
            default:
                _driver.KickByExit(index);
                break;
        }
    }

    private void Kick(int index, byte op)
    {
        if ((op & 0x80) == 0)
            _driver.KickByExit(index);
    }

    private ulong Register(FuzzScript script)
    {
        ushort offset = script.U16();
        if (_driver is not VirtioPciDriver pci)
            return MmioAddress + offset % 0x120u;
        return (offset >> 13) switch
        {
            0 => pci.Notify + offset % 64u,
            1 => pci.Isr,
            2 => (pci.Common & ~0xFFFFUL) + offset % 0x1_0000u,
            3 => (pci.Common & ~0xFFFFUL) + 0x8000 + offset % 0x80u,
            _ => pci.Common + offset % 64u,
        };
    }

    private void ResetSome(FuzzScript script, int index, byte op)
    {
        switch (op >> 6)
        {
            case 0:
                _driver.ResetQueue(index);
                break;
            case 1:
                SetUp(script, index, _rings[index]?.Packed ?? script.Flag());
                break;
            case 2:
                _driver.Status = script.U8();
                break;
            default:
                _driver.Status = 0;
                break;
        }

        script.Observe(7, _driver.Status);
    }

    private void SetUp(FuzzScript script, int index, bool packed)
    {
        byte shape = script.U8();
        int size = Math.Min(Math.Max(1, (int)_driver.GetMaxSize(index)), 1 << (shape & 7));
        HostileRing ring = new(_memory, FuzzGuest.Rings + HostileRing.Bytes * (ulong)index, size, packed);
        _rings[index] = ring;
        ulong spoilt = (shape & 0xE0) == 0xE0 ? script.Number() : 0;
        ulong first = (shape & 0xF8) == 0xF8 ? spoilt : ring.DescriptorArea;
        ulong last = (shape & 0xF8) == 0xF0 ? spoilt : ring.DeviceArea;
        if (_driver is VirtioPciDriver pci)
        {
            _driver.Write(pci.Common + 22, (uint)index, 2);
            _driver.Write(pci.Common + 24, (uint)size, 2);
            WriteAddress(pci.Common + 32, first);
            WriteAddress(pci.Common + 40, ring.DriverArea);
            WriteAddress(pci.Common + 48, last);
            _driver.Write(pci.Common + 26, (uint)index, 2);
            _driver.Write(pci.Common + 28, 1, 2);
            return;
        }

        _driver.Write(MmioAddress + 0x30, (uint)index, 4);
        _driver.Write(MmioAddress + 0x38, (uint)size, 4);
        WriteAddress(MmioAddress + 0x80, first);
        WriteAddress(MmioAddress + 0x90, ring.DriverArea);
        WriteAddress(MmioAddress + 0xA0, last);
        _driver.Write(MmioAddress + 0x44, 1, 4);
    }

    private void WriteAddress(ulong at, ulong value)
    {
        _driver.Write(at, (uint)value, 4);
        _driver.Write(at + 4, (uint)(value >> 32), 4);
    }

    /// <summary>Through the window of configuration space too, which reaches the BAR (virtio 1.2 §4.1.4.9).</summary>
    private void Configure(FuzzScript script)
    {
        int register = script.U8();
        _pio.Out(PciConfigPorts.FirstPort, BitConverter.GetBytes(0x8000_0000u | (uint)_pci!.Function.Address.Value << 8 | (uint)(register & 0xFC)));
        Span<byte> data = stackalloc byte[4];
        BitConverter.TryWriteBytes(data, (uint)script.Number());
        ushort port = (ushort)(0xCFC + (register & 3));
        int width = (register & 1) != 0 ? 1 : script.Flag() ? 2 : 4;
        if (script.Flag())
            _pio.Out(port, data[..width]);
        else
            _pio.In(port, data[..width]);
    }

    private void Pause()
    {
        _pci?.Pause();
        _mmio?.Pause();
        _pci?.Resume();
        _mmio?.Resume();
    }

    private void Reset()
    {
        // The machine's reset first: the guest may have moved the BAR.
        _root?.Reset();
        _driver.Status = 0;
        _subject.Restore();
        _loop.Check();
        FuzzFailure.Unless(_driver.Status == 0, "the status is not 0 after a reset");
    }
}
