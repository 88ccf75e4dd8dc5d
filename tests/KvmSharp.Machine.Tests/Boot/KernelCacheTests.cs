using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Boot.Unpacked;
using KvmSharp.TestKit.Boot;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Machine.Tests.Boot;

/// <summary>A bzImage that starts from its unpacked kernel, and everything that makes it unpack itself instead.</summary>
public sealed class KernelCacheTests : BootFixture
{
    private const ulong PackedEntry = 0x100_0200;

    [Fact]
    public void Load_PackedKernel_EntersTheKernelItselfAtRandomPlaces()
    {
        string path = File("kernel", PackedKernel.Make());
        HashSet<ulong> loads = [], deltas = [];
        for (int i = 0; i < 16; i++)
        {
            BootEntry entry = LoadCached(path);
            ulong load = entry.Rip - PackedKernel.Entry;
            Assert.Equal((load, load + PackedKernel.Span), (entry.KernelStart, entry.KernelEnd));
            Assert.True(load >= PackedKernel.LinkStart && load % 0x20_0000 == 0);
            ulong delta = U64(load + PackedKernel.Plain64) - PackedKernel.VirtualStart - 0x123;
            Assert.True(delta % 0x20_0000 == 0 && delta < 1UL << 30, $"moved by 0x{delta:x}");
            Assert.Equal((uint)(PackedKernel.VirtualStart + 0x456 + delta), U32(load + PackedKernel.Plain32));
            Assert.Equal((uint)(0x1000 - delta), U32(load + PackedKernel.Inverse32));
            Assert.Equal(0xEE, Bytes(load + PackedKernel.LastByte, 1)[0]);
            Assert.Equal(2, Bytes(entry.Rsi + 0x211, 1)[0] & 2); // KASLR_FLAG
            loads.Add(load);
            deltas.Add(delta);
        }

        Assert.True(loads.Count > 1 && deltas.Count > 4, $"{loads.Count} physical and {deltas.Count} virtual places in 16 starts");
        Assert.Single(Kept());
    }

    [Fact]
    public void Load_WhatTheKernelWantsClear_IsClear()
    {
        BootEntry entry = LoadCached(File("kernel", PackedKernel.Make()));
        Assert.Equal(new byte[PackedKernel.Span - PackedKernel.LastByte - 1], Bytes(entry.KernelStart + PackedKernel.LastByte + 1, PackedKernel.Span - PackedKernel.LastByte - 1));
    }

    [Theory]
    [InlineData("quiet nokaslr", false)]
    [InlineData("nokaslr", false)]
    [InlineData("nokaslrx quiet", true)]
    public void Load_Nokaslr_StaysWhereItIsLinked(string commandLine, bool random)
    {
        BootEntry entry = LoadCached(File("kernel", PackedKernel.Make()), commandLine);
        Assert.Equal(random, (Bytes(entry.Rsi + 0x211, 1)[0] & 2) != 0);
        if (random)
            return;
        Assert.Equal(PackedKernel.LinkStart, entry.KernelStart);
        Assert.Equal(PackedKernel.VirtualStart + 0x123, U64(entry.KernelStart + PackedKernel.Plain64));
    }

    [Fact]
    public void Load_NoRelocations_StaysWhereItIsLinked() => Assert.Equal(PackedKernel.LinkStart, LoadCached(File("kernel", PackedKernel.Make([]))).KernelStart);

    [Fact]
    public void Load_RelocationsWithoutInverse_AreUnderstood()
    {
        ulong load = LoadCached(File("kernel", PackedKernel.Make([0, PackedKernel.Place(PackedKernel.Plain64), 0, PackedKernel.Place(PackedKernel.Plain32)]))).KernelStart;
        Assert.Equal((uint)(U64(load + PackedKernel.Plain64) - 0x123 + 0x456), U32(load + PackedKernel.Plain32));
        Assert.Equal(0x1000u, U32(load + PackedKernel.Inverse32));
    }

    [Fact]
    public void Load_ManyRelocationsBesideAHelper_EachPlaceIsMovedOnce()
    {
        const int start = 0x1000, count = 5000; // more than one thread takes at a time
        uint[] places = [.. Enumerable.Range(0, count).Select(i => PackedKernel.Place(start + (i * sizeof(uint))))];
        string path = File("kernel", PackedKernel.Make([0, PackedKernel.Place(PackedKernel.Plain64), 0, 0, .. places]));
        LoadHelper helper = new();
        Thread helping = StartHelping(helper);
        for (int round = 0; round < 16; round++)
        {
            EmptyMemory();
            ulong load = LoadCached(path, helper: helper).KernelStart;
            uint delta = (uint)(U64(load + PackedKernel.Plain64) - PackedKernel.VirtualStart - 0x123);
            Assert.All(Enumerable.Range(0, count), i => Assert.Equal(delta, U32(load + (ulong)(start + (i * sizeof(uint))))));
            Assert.Equal(0u, U32(load + start + (count * sizeof(uint))));
        }

        EndHelping(helper, helping);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Load_RelocationsAllOver_EachPlaceIsMovedOnce(bool hasHelper)
    {
        // Places of both widths at any address, in any order, some of them across each boundary between what is loaded at a time.
        const int larger = 9 << 20, step = 1 << 18;
        Random random = new(20261123);
        SortedDictionary<int, int> places = [];
        for (int at = step; at < larger; at += step)
        {
            places.Add(at - 3, sizeof(uint));
            places.Add(at + 1, sizeof(ulong));
            places.Add(at + step / 2 - 5, sizeof(ulong));
        }

        for (int at = 0x1000; at < larger; at += random.Next(12, 2000))
        {
            int free = at;
            if (places.Keys.All(p => Math.Abs(p - free) >= 12))
                places.Add(at, random.Next(2) == 0 ? sizeof(uint) : sizeof(ulong));
        }

        uint[] Shuffled(int width) => [.. places.Where(p => p.Value == width).Select(p => PackedKernel.Place(p.Key)).OrderBy(_ => random.Next())];
        byte[] kernel = PackedKernel.Make([0, .. Shuffled(sizeof(ulong)), PackedKernel.Place(PackedKernel.Plain64), 0, PackedKernel.Place(PackedKernel.Inverse32), 0, .. Shuffled(sizeof(uint))],
            elf => random.NextBytes(elf.AsSpan(0x2000)), larger);
        byte[] before = Bytes(LoadCached(File("still", kernel), "nokaslr").KernelStart, larger + 0x1000);
        EmptyMemory();
        LoadHelper helper = new();
        Thread? helping = hasHelper ? StartHelping(helper) : null;
        ulong load = LoadCached(File("kernel", kernel), helper: helper).KernelStart;
        byte[] after = Bytes(load, larger + 0x1000);

        ulong delta = BitConverter.ToUInt64(after, PackedKernel.Plain64) - BitConverter.ToUInt64(before, PackedKernel.Plain64);
        Assert.Equal((uint)(0x1000 - delta), BitConverter.ToUInt32(after, PackedKernel.Inverse32));
        foreach ((int place, int width) in places)
        {
            if (width == sizeof(uint))
                BitConverter.TryWriteBytes(before.AsSpan(place), BitConverter.ToUInt32(before, place) + (uint)delta);
            else
                BitConverter.TryWriteBytes(before.AsSpan(place), BitConverter.ToUInt64(before, place) + delta);
        }

        Assert.Equal(before.AsSpan(0x1000).ToArray(), after.AsSpan(0x1000).ToArray());
        if (helping is not null)
            EndHelping(helper, helping);
    }

    [Fact]
    public void Load_Initrd_IsNeverCovered()
    {
        string kernel = File("kernel", PackedKernel.Make()), initrd = File("initrd", new byte[40 << 20]);
        for (int i = 0; i < 16; i++)
        {
            BootEntry entry = LoadCached(kernel, initrd: initrd);
            Assert.True(entry.KernelEnd <= entry.InitrdStart, $"kernel to 0x{entry.KernelEnd:x}, initrd from 0x{entry.InitrdStart:x}");
        }
    }

    public static TheoryData<string, byte[]> KernelsLeftAlone => new()
    {
        { "no payload", BzImage.Make() },
        { "another compression", Changed(b => b[PackedKernel.PayloadStart] = 0x1F) },
        { "damaged frame", Changed(b => b[PackedKernel.PayloadStart + 5] ^= 0x55) },
        { "payload longer than the file", Changed(b => Put32(b, 0x24C, 0x10_0000)) },
        { "payload far away", Changed(b => Put32(b, 0x248, 0xFFFF_FFF0)) },
        { "no ELF file", PackedKernel.Wrap(new byte[0x4000]) },
        { "segment outside the file", PackedKernel.Make(changeElf: b => Put64(b, 64 + 32, 0x1_0000)) },
        { "segment at the end of the world", PackedKernel.Make(changeElf: b => Put64(b, 64 + 8, ulong.MaxValue - 4)) },
        { "too large in memory", PackedKernel.Make(changeElf: b => Put64(b, 64 + 40, 0x8000_0000)) },
        { "entry outside", PackedKernel.Make(changeElf: b => Put64(b, 24, 0x900_0000)) },
        { "linked elsewhere", PackedKernel.Make(changeElf: b => Put64(b, 64 + 16, 0x100_0000)) },
        { "segment headers outside", PackedKernel.Make(changeElf: b => Put64(b, 32, 0x100_0000)) },
        { "relocation outside", PackedKernel.Make([0, 0, PackedKernel.Place(PackedKernel.Span - 3)]) },
        { "relocation before", PackedKernel.Make([0, 0, PackedKernel.Place(-1)]) },
        { "relocations without end", PackedKernel.Make([0, 1, 2]) },
        { "too many lists", PackedKernel.Make([0, 0, 0, 0, PackedKernel.Place(0)]) },
    };

    [Theory]
    [MemberData(nameof(KernelsLeftAlone))]
    public void Load_KernelNotUnderstood_UnpacksItself(string why, byte[] kernel)
    {
        Assert.True(LoadCached(File("kernel", kernel)).Rip == PackedEntry, why);
        Assert.Empty(Kept());
    }

    [Fact]
    public void Load_ChangedFile_IsUnpackedAgain()
    {
        string path = File("kernel", PackedKernel.Make());
        LoadCached(path);
        byte[] other = PackedKernel.Make(changeElf: b => b[0x1000 + PackedKernel.LastByte] = 0x77);
        System.IO.File.WriteAllBytes(path, other);
        Assert.Equal(0x77, Bytes(LoadCached(path).KernelStart + PackedKernel.LastByte, 1)[0]);
        Assert.Equal(2, Kept().Length);
    }

    [Fact]
    public void Load_CachedFileDamaged_IsMadeAgain()
    {
        string path = File("kernel", PackedKernel.Make());
        LoadCached(path);
        byte[] good = System.IO.File.ReadAllBytes(Kept()[0]);
        Random random = new(1);
        for (int i = 0; i < 300; i++)
        {
            byte[] bad = [.. good[..random.Next(good.Length)]];
            for (int n = 0; n < 8 && bad.Length > 0; n++)
                bad[random.Next(Math.Min(bad.Length, 0x100))] = (byte)random.Next(256);
            System.IO.File.WriteAllBytes(Kept()[0], bad);
            Exception? e = Record.Exception(() => LoadCached(path));
            Assert.True(e is null or BootException, e?.ToString());
        }

        System.IO.File.WriteAllBytes(Kept()[0], good[..100]);
        Assert.NotEqual(PackedEntry, LoadCached(path).Rip);
        Assert.Equal(good, System.IO.File.ReadAllBytes(Kept()[0]));
    }

    /// <summary>The lists are the end of the file: one place each, 32-bit, inverse, 64-bit.</summary>
    [Theory]
    [InlineData(3, PackedKernel.Span - 3)]
    [InlineData(2, PackedKernel.Span - 1)]
    [InlineData(1, PackedKernel.Span - 7)]
    [InlineData(1, PackedKernel.Span)]
    [InlineData(3, -1)]
    public void Load_CachedPlaceOutside_SaysDamaged(int wordFromEnd, int offset)
    {
        string path = File("kernel", PackedKernel.Make());
        LoadCached(path);
        byte[] file = System.IO.File.ReadAllBytes(Kept()[0]);
        Put32(file, file.Length - (wordFromEnd * sizeof(uint)), PackedKernel.Place(offset));
        System.IO.File.WriteAllBytes(Kept()[0], file);

        // One start in some hundred leaves the kernel where it is linked, and looks at no place.
        BootException? error = null;
        for (int i = 0; i < 4 && error is null; i++)
            error = Record.Exception(() => LoadCached(path)) as BootException;

        Assert.EndsWith("is damaged; delete it, it is made again", error?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_FolderOthersMayWrite_IsNotUsed()
    {
        Directory.CreateDirectory(CacheFolder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        System.IO.File.SetUnixFileMode(CacheFolder, System.IO.File.GetUnixFileMode(CacheFolder) | UnixFileMode.OtherWrite);
        Assert.Equal(PackedEntry, LoadCached(File("kernel", PackedKernel.Make())).Rip);
        Assert.Empty(Kept());
    }

    [Fact]
    public void Load_FolderIsALink_IsNotUsed()
    {
        Directory.CreateDirectory(Path.Combine(Folder, "elsewhere"));
        System.IO.File.CreateSymbolicLink(CacheFolder, Path.Combine(Folder, "elsewhere"));
        Assert.Equal(PackedEntry, LoadCached(File("kernel", PackedKernel.Make())).Rip);
    }

    [Fact]
    public void Load_NoRoomForAFolder_UnpacksItself()
    {
        File("cache", [1]);
        Assert.Equal(PackedEntry, LoadCached(File("kernel", PackedKernel.Make())).Rip);
    }

    [Fact]
    public void Load_ManyKernels_KeepsTheLastEight()
    {
        for (int i = 0; i < 10; i++)
            LoadCached(File($"kernel{i}", PackedKernel.Make()));
        Assert.Equal(8, Kept().Length);
    }

    [Fact]
    public void Load_TooLittleMemoryForTheRandomPlace_StaysBelowTheEnd()
    {
        using var memory = Core.Memory.GuestMemory.Create(new() { SizeBytes = 26 << 20 });
        for (int i = 0; i < 16; i++)
            Assert.True(LoadCached(File("kernel", PackedKernel.Make()), memory: memory).KernelEnd <= 26 << 20);
    }

    private string CacheFolder => Path.Combine(Folder, "cache");

    private static byte[] Changed(Action<byte[]> change)
    {
        byte[] kernel = PackedKernel.Make();
        change(kernel);
        return kernel;
    }

    /// <summary>As a reset leaves it.</summary>
    private void EmptyMemory()
    {
        Assert.True(Memory.TryGetSpan(new(0), 64 << 20, out Span<byte> all));
        all.Clear();
    }

    private string[] Kept() => Directory.Exists(CacheFolder) ? Directory.GetFiles(CacheFolder) : [];

    private BootEntry LoadCached(string path, string commandLine = "", string? initrd = null, Core.Memory.GuestMemory? memory = null, LoadHelper? helper = null) =>
        KernelLoader.Load(memory ?? Memory, new BootRequest
        {
            KernelPath = path, InitrdPath = initrd, CommandLine = commandLine, Helper = helper ?? new LoadHelper(), KernelCache = new KernelCache(CacheFolder, NullLogger.Instance),
        });
}
