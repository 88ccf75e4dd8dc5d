using System.Collections.Concurrent;
using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>Takes a vCPU's I/O: records writes, answers reads from queues, ends the test on a write to port 0xf4.</summary>
internal sealed class RecordingExits : IVmExitHandler, IDisposable
{
    internal const ushort DonePort = 0xF4;

    private readonly SemaphoreSlim _done = new(0);

    internal sealed record Access(int Vcpu, ulong Address, int Size, ulong Value);

    internal ConcurrentQueue<Access> PioWrites { get; } = new();

    internal ConcurrentQueue<Access> MmioWrites { get; } = new();

    internal ConcurrentQueue<ulong> PioReplies { get; } = new();

    internal ConcurrentQueue<ulong> MmioReplies { get; } = new();

    internal ConcurrentQueue<Access> Reads { get; } = new();

    /// <summary>Answers the MMIO of the page at this address; others are recorded.</summary>
    internal (ulong Start, IMmioDevice Device)? Mapped { get; set; }

    internal Action? OnPioIn { get; set; }

    internal Action<ushort>? OnPioOut { get; set; }

    /// <summary>False: writes are only counted by the vCPU, nothing is allocated.</summary>
    internal bool Record { get; set; } = true;

    public void PioIn(int vcpuIndex, ushort port, Span<byte> data)
    {
        if (!Record)
        {
            data.Clear();
            return;
        }

        Reads.Enqueue(new Access(vcpuIndex, port, data.Length, 0));
        OnPioIn?.Invoke();
        Fill(data, PioReplies.TryDequeue(out ulong value) ? value : ulong.MaxValue);
    }

    public void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data)
    {
        if (port == DonePort)
        {
            PioWrites.Enqueue(new Access(vcpuIndex, port, data.Length, Value(data)));
            _done.Release();
            return;
        }

        if (!Record)
            return;
        PioWrites.Enqueue(new Access(vcpuIndex, port, data.Length, Value(data)));
        OnPioOut?.Invoke(port);
    }

    public void MmioRead(int vcpuIndex, ulong address, Span<byte> data)
    {
        if (!Record)
        {
            data.Clear();
            return;
        }

        if (Mapped is { } mapped && address - mapped.Start < 0x1000)
        {
            mapped.Device.Read(address - mapped.Start, data);
            return;
        }

        Reads.Enqueue(new Access(vcpuIndex, address, data.Length, 0));
        Fill(data, MmioReplies.TryDequeue(out ulong value) ? value : ulong.MaxValue);
    }

    public void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data)
    {
        if (Mapped is { } mapped && address - mapped.Start < 0x1000)
            mapped.Device.Write(address - mapped.Start, data);
        else if (Record)
            MmioWrites.Enqueue(new Access(vcpuIndex, address, data.Length, Value(data)));
    }

    internal int HandlerRuns => PioWrites.Count(w => w.Address == BareMachine.HandlerPort);

    internal void WaitForHandler(int runs) =>
        Assert.True(SpinWait.SpinUntil(() => HandlerRuns >= runs, TimeSpan.FromSeconds(20)), $"the interrupt handler ran {HandlerRuns} of {runs} times");

    internal void WaitDone() => Assert.True(_done.Wait(TimeSpan.FromSeconds(20)), "the payload did not finish");

    internal bool WaitDone(int milliseconds) => _done.Wait(milliseconds);

    public void Dispose() => _done.Dispose();

    private static void Fill(Span<byte> data, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes[..data.Length].CopyTo(data);
    }

    private static ulong Value(ReadOnlySpan<byte> data)
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        data.CopyTo(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }
}
