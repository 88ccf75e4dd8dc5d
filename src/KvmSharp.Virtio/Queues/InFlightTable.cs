using System.Diagnostics;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Slots of the chains between pop and push. With in-order use it also remembers the order of the pops, so that a device may
/// finish in any order and the driver still sees the one it was promised (VIRTIO_F_IN_ORDER, virtio 1.2 §2.7.9, §2.8.9).
/// </summary>
internal struct InFlightTable
{
    private readonly ushort[] _free;
    private readonly ushort[]? _order;
    private readonly VirtQueueToken[]? _tokens;
    private readonly long[]? _written;
    private int _freeCount;
    private uint _head;
    private uint _tail;

    public InFlightTable(int size, bool inOrder)
    {
        _free = new ushort[size];
        for (int i = 0; i < size; i++)
            _free[i] = (ushort)(size - 1 - i);
        _freeCount = size;
        if (!inOrder)
            return;
        _order = new ushort[size];
        _tokens = new VirtQueueToken[size];
        _written = new long[size];
    }

    public readonly int Count => _free.Length - _freeCount;

    public readonly bool InOrder => _order is not null;

    /// <summary>The ring has checked that no more chains than entries are in flight.</summary>
    public VirtQueueToken Take(ushort id, ushort descriptorCount)
    {
        ushort slot = _free[--_freeCount];
        VirtQueueToken token = new(id, descriptorCount) { Slot = slot };
        if (_order is null)
            return token;
        _order[_tail++ % (uint)_order.Length] = slot;
        _tokens![slot] = token;
        _written![slot] = -1;
        return token;
    }

    public void Free(ushort slot) => _free[_freeCount++] = slot;

    /// <summary>Undoes <see cref="Take"/> of the chain taken last.</summary>
    public void Untake(VirtQueueToken token)
    {
        if (_order is not null)
        {
            _tail--;
            Debug.Assert(_order[_tail % (uint)_order.Length] == token.Slot, "only the chain popped last can be put back");
        }

        Free(token.Slot);
    }

    /// <summary>In-order only: marks a chain as finished; the driver gets it when all before it are.</summary>
    public readonly void Finish(VirtQueueToken token, uint bytesWritten) => _written![token.Slot] = bytesWritten;

    /// <summary>In-order only: takes out the oldest chain if it is finished.</summary>
    public bool TryTakeFinished(out VirtQueueToken token, out uint bytesWritten)
    {
        token = default;
        bytesWritten = 0;
        if (_head == _tail)
            return false;
        ushort slot = _order![_head % (uint)_order.Length];
        long written = _written![slot];
        if (written < 0)
            return false;
        token = _tokens![slot];
        bytesWritten = (uint)written;
        _head++;
        Free(slot);
        return true;
    }
}
