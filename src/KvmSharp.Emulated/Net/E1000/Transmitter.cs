using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// Works through the transmit ring (manual §3.3, §3.4). All but <see cref="TailMoved"/> on the loop. Interrupt delays (TIDV, TADV) count as over when a turn is.
/// </summary>
/// <param name="looped">Takes frames instead of the host while the driver tests itself.</param>
internal sealed class Transmitter(RegisterFile registers, Phy phy, GuestMemory memory, InterruptCauses interrupts, FrameSender sender, INetQueue looped)
{
    /// <summary>Descriptors of one turn.</summary>
    private const int Budget = 1024;

    /// <summary>Descriptors after which the driver hears of them though the turn goes on.</summary>
    private const int Batch = 64;

    private readonly TransmitFrame _frame = new();
    private INetQueue? _host;
    private DescriptorRing _ring;
    private uint _head;
    private uint _next;
    private TransmitContext _offload;
    private TransmitContext _segmentation;
    private int _unreported;
    private int _asleep;

    /// <summary>Waits for room on the host.</summary>
    public bool IsBlocked { get; private set; }

    /// <summary>There are descriptors that could be worked on.</summary>
    public bool HasWork => !IsBlocked && _ring.Distance(_next, registers[TDT]) != 0;

    /// <summary>The ring was enabled, disabled or moved.</summary>
    public void Restart(INetQueue? host)
    {
        _host = host;
        _frame.Clear();
        IsBlocked = false;
        _ring = host is null ? default : DescriptorRing.Open(registers, memory, TDBAL);
        _head = _next = registers[TDH];
        Volatile.Write(ref _asleep, 1);
    }

    /// <summary>The driver moved the tail: true if the loop has to be told. vCPU threads.</summary>
    public bool TailMoved()
    {
        // Pairs with the fence in Serve: either it sees the tail, or we see that it sleeps.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _asleep) != 0 && Interlocked.Exchange(ref _asleep, 0) != 0;
    }

    /// <summary>Somebody looks at the tail: the loop need not be told.</summary>
    public void BeginPoll() => Volatile.Write(ref _asleep, 0);

    /// <summary>Sends until the ring is empty, the host has no room, or the turn is over: then true. The tail's next move is told.</summary>
    public bool Serve()
    {
        do
        {
            Volatile.Write(ref _asleep, 0);
            if (SendTurn())
                return true;
            Volatile.Write(ref _asleep, 1);
            Interlocked.MemoryBarrier();
        }
        while (HasWork);
        return false;
    }

    /// <summary>As <see cref="Serve"/>, for who looks again soon without being told.</summary>
    public bool SendTurn()
    {
        IsBlocked = false;
        int budget = Budget;
        while (!IsBlocked)
        {
            if (_frame.IsComplete)
            {
                Finish();
                continue;
            }

            uint tail = registers[TDT];
            if (_ring.Distance(_next, tail) == 0 || budget-- == 0)
                break;
            Take();
        }

        Report();
        return budget < 0;
    }

    private void Take()
    {
        uint index = _next;
        _ring.Read(index, out ulong address, out ulong control);
        TransmitDescriptor descriptor = new(address, control);
        _next = _ring.Next(index);
        if (descriptor.IsContext)
        {
            if (descriptor.Segments)
                _segmentation = TransmitContext.Parse(descriptor);
            else
                _offload = TransmitContext.Parse(descriptor);
            if (_frame.IsEmpty)
                WriteBack();
            return;
        }

        _frame.Add(descriptor, memory);
    }

    private void Finish()
    {
        bool toHost = !phy.IsLooped && (registers[RCTL] & RCTL_LBM) == 0;
        bool tagged = _frame.Last.InsertsVlanTag && (registers[CTRL] & CTRL_VME) != 0;
        int? tag = tagged ? _frame.Last.VlanTag : null;
        // What the host does not take (a header that makes no sense, a link that is down) is lost, as on a wire.
        int result = sender.Send(_frame, _frame.First.Segments ? _segmentation : _offload, tag, toHost ? _host! : looped, toHost);
        IsBlocked = result == -LibcConstants.EAGAIN;
        if (IsBlocked)
            return;
        _frame.Clear();
        WriteBack();
    }

    /// <summary>All up to the next descriptor to be read is done.</summary>
    private void WriteBack()
    {
        for (uint index = _head; index != _next; index = _ring.Next(index))
        {
            _ring.Read(index, out ulong address, out ulong control);
            if (!new TransmitDescriptor(address, control).WantsReport)
                continue;
            _ring.WriteBack(index, control | TransmitDescriptor.Done);
            _unreported++;
        }

        _head = _next;
        registers[TDH] = _head;
        if (_unreported >= Batch)
            Report();
    }

    private void Report()
    {
        if (_unreported == 0)
            return;
        _unreported = 0;
        interrupts.Raise(ICR_TXDW | (_ring.Distance(_head, registers[TDT]) == 0 ? ICR_TXQE : 0));
    }
}
