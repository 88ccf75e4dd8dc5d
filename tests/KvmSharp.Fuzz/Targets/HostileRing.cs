using KvmSharp.Core.Memory;
using KvmSharp.Fuzz.Engine;

namespace KvmSharp.Fuzz.Targets;

/// <summary>
/// The driver side of one virtqueue as an enemy has it: descriptors, rings and indirect tables that are right but for what a script
/// spoils. Writes guest memory and nothing else.
/// </summary>
internal sealed class HostileRing
{
    internal const ulong Bytes = 0x4000;
    internal const int MaxSize = 128;
    private const ulong TableOffset = 0x3000, DriverOffset = 0x1000, DeviceOffset = 0x1800;
    private const int TableEntries = 32;

    private readonly GuestMemory _memory;
    private readonly ulong _start;
    private ushort _next;
    private bool _wrap = true;

    internal HostileRing(GuestMemory memory, ulong start, int size, bool packed)
    {
        _memory = memory;
        _start = start;
        Size = size;
        Packed = packed;
        memory.TryGetSpan(new GuestAddress(start), (int)Bytes, out Span<byte> all);
        all.Clear();
    }

    internal int Size { get; }

    internal bool Packed { get; }

    internal ulong DescriptorArea => _start;

    internal ulong DriverArea => _start + DriverOffset;

    internal ulong DeviceArea => _start + DeviceOffset;

    /// <summary>Adds a chain of one to seven descriptors, maybe in an indirect table, and makes it available.</summary>
    internal void AddChain(FuzzScript script)
    {
        byte shape = script.U8();
        int count = 1 + (shape & 7) % 7;
        bool indirect = (shape & 8) != 0;
        ulong table = _start + TableOffset + (ulong)(_next % 4) * 16 * TableEntries;
        if (indirect)
        {
            for (int i = 0; i < count; i++)
                Descriptor(script, table + 16UL * (uint)i, i == count - 1, (ushort)(i + 1), table: true);
            Put(At(_next), table, (uint)(16 * count), 4, Packed ? _next : (ushort)0, available: true);
            Offer(script, 1);
            return;
        }

        count = Math.Min(count, Size);
        ushort first = _next;
        for (int i = 0; i < count; i++)
            Descriptor(script, At((first + i) % Size), i == count - 1, (ushort)((first + i + 1) % Size), table: false);
        Offer(script, count);
    }

    /// <summary>A chain of exactly these buffers.</summary>
    internal void AddChain(FuzzScript script, ReadOnlySpan<(ulong Address, uint Length, bool Writable)> buffers)
    {
        int count = Math.Min(buffers.Length, Size);
        for (int i = 0; i < count; i++)
        {
            ushort flags = (ushort)((i < count - 1 ? 1 : 0) | (buffers[i].Writable ? 2 : 0));
            Put(At((_next + i) % Size), buffers[i].Address, buffers[i].Length, flags, (ushort)((_next + i + 1) % Size), available: true);
        }

        Offer(script, count);
    }

    /// <summary>Overwrites a word anywhere in the queue's memory.</summary>
    internal void Scribble(FuzzScript script)
    {
        ulong at = _start + script.U16() % (Bytes - 8);
        switch (script.U8() & 3)
        {
            case 0:
                _memory.TryWrite(new GuestAddress(at), script.U8());
                break;
            case 1:
                _memory.TryWrite(new GuestAddress(at & ~1UL), (ushort)script.Number());
                break;
            case 2:
                _memory.TryWrite(new GuestAddress(at & ~3UL), (uint)script.Number());
                break;
            default:
                _memory.TryWrite(new GuestAddress(at & ~7UL), script.Number());
                break;
        }
    }

    /// <summary>Moves the available index to anywhere.</summary>
    internal void Jump(FuzzScript script)
    {
        _next = (ushort)(script.Number() % (ulong)Size);
        if (!Packed)
            _memory.TryWrite(new GuestAddress(DriverArea + 2), (ushort)script.Number());
        else
            _wrap ^= script.Flag();
    }

    private ulong At(int index) => _start + 16UL * (uint)index;

    private void Descriptor(FuzzScript script, ulong at, bool last, ushort next, bool table)
    {
        byte how = script.U8();
        ulong address = (how & 0x70) switch
        {
            0x70 => script.Number(),
            0x60 => FuzzGuest.Bytes - (script.Number() & 0x3FFF),
            0x50 => _start + script.U16() % Bytes,
            _ => FuzzGuest.Data + (ulong)script.U8() * 0x100,
        };
        uint length = (how & 0x0C) switch
        {
            0x0C => (uint)script.Number(),
            0x08 => script.U16(),
            _ => (uint)(script.U8() & 0x7F) + (how & 3u) * 512,
        };
        int flags = (last ? 0 : 1) | ((how & 2) != 0 ? 2 : 0);
        if ((how & 0x80) != 0)
        {
            byte spoil = script.U8();
            flags ^= (spoil & 1) | (spoil & 0x10) >> 2 | (spoil & 0x20) >> 4;
            next = (spoil & 0x40) != 0 ? script.U16() : (ushort)(next ^ (spoil >> 6));
        }

        Put(at, address, length, (ushort)flags, next, available: !table);
    }

    // Split: addr, len, flags, next (virtio 1.2 §2.7.5). Packed: addr, len, id, flags (§2.8.13).
    private void Put(ulong at, ulong address, uint length, ushort flags, ushort next, bool available)
    {
        _memory.TryWrite(new GuestAddress(at), address);
        _memory.TryWrite(new GuestAddress(at + 8), length);
        if (!Packed)
        {
            _memory.TryWrite(new GuestAddress(at + 12), flags);
            _memory.TryWrite(new GuestAddress(at + 14), next);
            return;
        }

        _memory.TryWrite(new GuestAddress(at + 12), next);
        if (available)
            flags |= (ushort)(_wrap ? 0x80 : 0x8000);
        _memory.TryWrite(new GuestAddress(at + 14), flags);
    }

    private void Offer(FuzzScript script, int count)
    {
        if (!Packed)
        {
            _memory.TryRead(new GuestAddress(DriverArea + 2), out ushort index);
            _memory.TryWrite(new GuestAddress(DriverArea + 4 + 2UL * (uint)(index % Size)), _next);
            _memory.TryWrite(new GuestAddress(DriverArea + 2), (ushort)(index + 1));
        }

        int after = _next + count;
        if (after >= Size)
            _wrap ^= Packed;
        _next = (ushort)(after % Size);
        script.Observe(1, (ulong)count);
    }
}
