using KvmSharp.Abi;
using KvmSharp.Core.Memory;

namespace KvmSharp.Core.Tests.Memory;

public sealed unsafe class GuestMemoryTests
{
    private const ulong Gib = 1UL << 30;

    [Fact]
    public void Create_BelowTheGap_IsOneRegionFromZero()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = GuestMemory.LowLimit });
        Assert.Equal(1, memory.Regions.Length);
        Assert.Equal(0UL, memory.Regions[0].Start.Value);
        Assert.Equal(GuestMemory.LowLimit, memory.Regions[0].End);
    }

    [Fact]
    public void Create_BeyondTheGap_GoesOnAtFourGib()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 5 * Gib });
        Assert.Equal(2, memory.Regions.Length);
        Assert.Equal(4 * Gib, memory.Regions[1].Start.Value);
        Assert.Equal(2 * Gib, memory.Regions[1].SizeBytes);
        Assert.Equal(GuestMemory.LowLimit, memory.Regions[1].FileOffset);
        Assert.Equal(5 * Gib, memory.SizeBytes);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(4095UL)]
    [InlineData(4097UL)]
    public void Create_NotWholePages_Throws(ulong size) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = size }));

    [Theory]
    [InlineData(0UL, 1UL, true)]
    [InlineData(0xBFFF_FFFFUL, 1UL, true)]
    [InlineData(0UL, 0xC000_0000UL, true)]
    [InlineData(0UL, 0xC000_0001UL, false)]
    [InlineData(0xBFFF_FFFFUL, 2UL, false)]
    [InlineData(0xC000_0000UL, 0UL, false)]
    [InlineData(0xC000_0000UL, 1UL, false)]
    [InlineData(0xFFFF_FFFFUL, 1UL, false)]
    [InlineData(0xFFFF_FFFFUL, 2UL, false)]
    [InlineData(0x1_0000_0000UL, 0x8000_0000UL, true)]
    [InlineData(0x1_0000_0000UL, 0x8000_0001UL, false)]
    [InlineData(0x1_7FFF_FFFFUL, 1UL, true)]
    [InlineData(0x1_8000_0000UL, 1UL, false)]
    [InlineData(0xBFFF_F000UL, 0x4000_2000UL, false)]
    [InlineData(ulong.MaxValue, 1UL, false)]
    [InlineData(ulong.MaxValue, 2UL, false)]
    [InlineData(1UL, ulong.MaxValue, false)]
    [InlineData(0x1000UL, ulong.MaxValue - 0xFFF, false)]
    [InlineData(0x1_0000_0000UL, ulong.MaxValue, false)]
    public void TryGetPointer_AtTheEdges_OnlyWhollyInsideOneRegion(ulong address, ulong length, bool expected)
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 5 * Gib });
        Assert.Equal(expected, memory.TryGetPointer(new GuestAddress(address), length, out byte* host));
        Assert.Equal(expected, host != null);
    }

    [Fact]
    public void TryReadWrite_AcrossRegionEnd_FailsAndChangesNothing()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 2 * GuestMemory.PageSize });
        GuestAddress last = new(2 * GuestMemory.PageSize - 4);
        Assert.False(memory.TryWrite(last, 0x1122334455667788UL));
        Assert.True(memory.TryRead(last, out uint untouched));
        Assert.Equal(0u, untouched);
        Assert.True(memory.TryWrite(last, 0xAABBCCDDu));
        Assert.False(memory.TryRead(last, out ulong _));
        Assert.True(memory.TryRead(last, out uint value));
        Assert.Equal(0xAABBCCDDu, value);
    }

    [Fact]
    public void TryGetSpan_NegativeLength_Fails()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = GuestMemory.PageSize });
        Assert.False(memory.TryGetSpan(new GuestAddress(0), -1, out Span<byte> span));
        Assert.True(span.IsEmpty);
    }

    [Fact]
    public void TryWrite_Bytes_LandInTheFileAtTheRegionsOffset()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 * Gib });
        Assert.True(memory.TryWrite(new GuestAddress(GuestMemory.HighStart + 5), "guest"u8));
        byte* buffer = stackalloc byte[5];
        Assert.Equal(5, Libc.pread(memory.File.Value, buffer, 5, (long)GuestMemory.LowLimit + 5));
        Assert.True(new Span<byte>(buffer, 5).SequenceEqual("guest"u8));
    }

    [Fact]
    public void Create_HundredsOfGib_CostsOnlyWhatIsTouched()
    {
        ulong before = ResidentBytes();
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 768 * Gib });
        Assert.True(memory.TryWrite(new GuestAddress(769 * Gib - 8), 1UL));
        Assert.True(memory.TryWrite(new GuestAddress(400 * Gib), 2UL));
        Assert.True(memory.TryRead(new GuestAddress(769 * Gib - 8), out ulong value));
        Assert.Equal(1UL, value);
        Assert.False(memory.TryWrite(new GuestAddress(769 * Gib), (byte)1));
        Assert.InRange(ResidentBytes(), 0UL, before + (64UL << 20));
    }

    private static ulong ResidentBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return ulong.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
    }
}
