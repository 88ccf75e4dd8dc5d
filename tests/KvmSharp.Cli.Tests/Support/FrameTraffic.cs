using System.Diagnostics;
using System.Runtime.InteropServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.TestKit.Virtio;

namespace KvmSharp.Cli.Tests.Support;

/// <summary>
/// A driver of one queue pair that sends all it can and receives frames of one size, each spread over several buffers. Every chain must come back once, in the order of
/// its being added, and every frame whole.
/// </summary>
internal sealed class FrameTraffic
{
    public const int FrameBytes = 1500;

    private const int Receive = 0, Transmit = 1, HeaderBytes = 12, BufferBytes = 700, BufferStride = 1024, NumberBytes = 8, NumberOffset = 14;
    private const int BuffersPerFrame = (HeaderBytes + FrameBytes + BufferBytes - 1) / BufferBytes;

    private readonly VirtioDeviceBed _bed;
    private readonly int[] _added = new int[2], _taken = new int[2];
    private readonly byte[] _frame = new byte[BuffersPerFrame * BufferBytes];

    public FrameTraffic(VirtioDeviceBed bed)
    {
        _bed = bed;
        bed.Drivers[Receive].DisableInterrupts();
        bed.Drivers[Transmit].DisableInterrupts();
    }

    /// <summary>Goes on until so many frames more have passed each way. Throws <see cref="TimeoutException"/>.</summary>
    public void Pass(int frames, int timeoutMs)
    {
        int sent = _taken[Transmit] + frames, received = _taken[Receive] + frames * BuffersPerFrame;
        long start = Stopwatch.GetTimestamp();
        while (_taken[Transmit] < sent || _taken[Receive] < received)
        {
            Fill();
            while (_bed.Drivers[Transmit].TryTakeUsed(out int cookie, out _))
                Assert.Equal(_taken[Transmit]++, cookie);
            while (_bed.Drivers[Receive].TryTakeUsed(out int cookie, out uint written))
            {
                Assert.Equal(_taken[Receive], cookie);
                TakePart(_taken[Receive]++, (int)written);
            }

            if (Stopwatch.GetElapsedTime(start).TotalMilliseconds > timeoutMs)
                throw new TimeoutException($"after {_taken[Transmit]} frames sent and {_taken[Receive]} buffers filled there is an end");
        }
    }

    private static ulong AddressOf(int number) => VirtioDeviceBed.Data + (ulong)(number % 64) * BufferStride;

    private void Fill()
    {
        DriverQueue receive = _bed.Drivers[Receive], transmit = _bed.Drivers[Transmit];
        while (receive.TryAdd([new DriverBuffer(AddressOf(_added[Receive]), BufferBytes, Writable: true)], _added[Receive]))
            _added[Receive]++;
        // Chains of one and of two descriptors in turn.
        ulong at = VirtioDeviceBed.Data + 0x10_0000;
        while (transmit.TryAdd(_added[Transmit] % 2 == 0 ? [new(at, HeaderBytes + FrameBytes, false)] : [new(at, HeaderBytes, false), new(at + HeaderBytes, FrameBytes, false)], _added[Transmit]))
            _added[Transmit]++;
        _bed.Submit(Receive);
        _bed.Submit(Transmit);
    }

    private void TakePart(int number, int written)
    {
        int part = number % BuffersPerFrame;
        Assert.Equal(Math.Min(BufferBytes, HeaderBytes + FrameBytes - part * BufferBytes), written);
        _bed.ReadMemory(AddressOf(number), written).CopyTo(_frame.AsSpan(part * BufferBytes));
        if (part + 1 < BuffersPerFrame)
            return;
        Assert.Equal(BuffersPerFrame, MemoryMarshal.Read<virtio_net_hdr_v1>(_frame).num_buffers);
        for (int i = NumberOffset + NumberBytes; i < FrameBytes; i++)
            Assert.Equal((byte)i, _frame[HeaderBytes + i]);
    }
}
