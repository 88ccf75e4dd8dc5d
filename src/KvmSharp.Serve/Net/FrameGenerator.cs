using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Net;

/// <summary>
/// As many frames of one size as the driver has buffers for: broadcasts of the type for local experiments (IEEE 802) with a number that goes up by one
/// behind it, big-endian, so that a gap shows, and from there on each byte is its offset's lowest.
/// </summary>
internal sealed unsafe class FrameGenerator : IFrameSource
{
    private const int Batch = 64;
    private const ushort ExperimentalType = 0x88b5;
    private const int NumberOffset = 14;

    private readonly byte[] _frame;
    private readonly IoVec[] _segments;
    private ulong _number;

    /// <param name="bytes">Length without check sum, 60 to <see cref="NetFrame.MaxBytes"/>.</param>
    public FrameGenerator(uint bytes)
    {
        _frame = GC.AllocateArray<byte>((int)bytes, pinned: true);
        new MacAddress(0xffff_ffff_ffff).CopyTo(_frame);
        new MacAddress(0x0200_0000_0001).CopyTo(_frame.AsSpan(MacAddress.Length));
        BinaryPrimitives.WriteUInt16BigEndian(_frame.AsSpan(NetFrame.AddressBytes), ExperimentalType);
        for (int i = NumberOffset + sizeof(ulong); i < _frame.Length; i++)
            _frame[i] = (byte)i;
        // SAFETY: the array is pinned and as long as it says.
        fixed (byte* frame = _frame)
            _segments = [new IoVec(frame, bytes)];
    }

    public bool Fill(ReceiveRing ring)
    {
        for (int i = 0; i < Batch; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(_frame.AsSpan(NumberOffset), _number);
            if (!ring.TryPut(_segments, 0, (uint)_frame.Length))
                return false;
            _number++;
        }

        return true;
    }
}
