using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>A frame while its descriptors are collected: where its bytes lie in guest memory and what is to be done to them. Loop thread.</summary>
internal sealed unsafe class TransmitFrame
{
    /// <summary>No frame may be longer (manual §3.3, §3.5); with segmentation 2^20 - 1 and a header.</summary>
    public const int MaxLength = 16288, MaxSegmentedLength = 0xF_FFFF + 255;

    /// <summary>UIO_MAXIOV less what goes before the guest's buffers. A frame in more pieces is dropped.</summary>
    private const int MaxPieces = 1000;

    private readonly IoVec[] _pieces = GC.AllocateArray<IoVec>(MaxPieces, pinned: true);
    private int _pieceCount;
    private bool _started;

    public ReadOnlySpan<IoVec> Pieces => _pieces.AsSpan(0, _pieceCount);

    /// <summary>Bytes.</summary>
    public int Length { get; private set; }

    /// <summary>The last descriptor has been added.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Nothing has been added.</summary>
    public bool IsEmpty => !_started;

    /// <summary>The descriptors make no frame that could be sent.</summary>
    public bool IsBad { get; private set; }

    /// <summary>The first descriptor, which says what offloads are wanted.</summary>
    public TransmitDescriptor First { get; private set; }

    /// <summary>The last one, which says whether a VLAN tag is.</summary>
    public TransmitDescriptor Last { get; private set; }

    /// <summary>Payload bytes of a segmented frame that the host has taken already.</summary>
    public int PayloadSent { get; set; }

    public void Add(in TransmitDescriptor descriptor, GuestMemory memory)
    {
        if (!_started)
            First = descriptor;
        _started = true;
        uint length = descriptor.Length;
        if (length > 0 && !IsBad)
        {
            int limit = First.Segments ? MaxSegmentedLength : MaxLength;
            IsBad = length > limit - Length || _pieceCount == MaxPieces || !memory.TryGetPointer(new GuestAddress(descriptor.Address), length, out byte* host)
                || !Append(host, length);
        }

        if (!descriptor.EndOfPacket)
            return;
        Last = descriptor;
        IsComplete = true;
    }

    public void Clear()
    {
        _pieceCount = 0;
        Length = 0;
        PayloadSent = 0;
        _started = IsComplete = IsBad = false;
    }

    private bool Append(byte* host, uint length)
    {
        _pieces[_pieceCount++] = new IoVec(host, length);
        Length += (int)length;
        return true;
    }
}
