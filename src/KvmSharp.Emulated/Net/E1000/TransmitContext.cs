namespace KvmSharp.Emulated.Net.E1000;

/// <summary>What a context descriptor says (manual §3.3.6).</summary>
internal readonly record struct TransmitContext(ChecksumField Ip, ChecksumField Transport, bool IsTcp, bool IsIpv4, int HeaderLength, int SegmentSize)
{
    public static TransmitContext Parse(in TransmitDescriptor descriptor)
    {
        (ulong low, ulong high) = (descriptor.Address, descriptor.Control);
        return new TransmitContext(
            Field(low), Field(low >> 32), IsTcp: (high & 1 << 24) != 0, IsIpv4: (high & 1 << 25) != 0,
            HeaderLength: (byte)(high >> 40), SegmentSize: (ushort)(high >> 48));
    }

    private static ChecksumField Field(ulong bits) => new((byte)bits, (byte)(bits >> 8), (ushort)(bits >> 16));
}
