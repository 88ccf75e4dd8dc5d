using System.Buffers.Binary;
using System.Text;
using Iced.Intel;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>What a Multiboot kernel finds, as the guest itself sees it (Multiboot 0.6.96 §3.2, §3.3).</summary>
public sealed class MultibootHandoverTests : BareFixture
{
    private const int InfoLength = 116;
    private const uint OneMiB = 0x10_0000;

    [Fact]
    public void Entry_Registers_AreAsTheStandardSays()
    {
        BareRun run = Run(a =>
        {
            a.mov(esp, GuestCode.StackTop);
            a.push(ebx);
            a.mov(edi, GuestCode.Results);
            a.stosd();
            a.pop(eax);
            a.stosd();
            a.mov(eax, cr0);
            a.stosd();
            a.pushfd();
            a.pop(eax);
            a.stosd();
            a.xor(eax, eax);
            a.mov(ax, cs);
            a.stosd();
            a.mov(ax, ds);
            a.stosd();
            // Reloading the segments must work: the GDT handed over is a real one.
            a.mov(es, ax);
            a.mov(ss, ax);
            a.Finish();
        });

        uint[] words = run.Words;
        Assert.Equal(0x2BAD_B002u, words[0]);
        Assert.InRange(words[1], 0x1000u, OneMiB - InfoLength);
        Assert.Equal(1u, words[2] & 0x8000_0001); // protected, not paged
        Assert.Equal(0u, words[3] & 0x2_0200); // IF and VM clear
        Assert.NotEqual(0u, words[4]);
        Assert.NotEqual(0u, words[5]);
    }

    [Fact]
    public void Info_CommandLineAndLoader_AreStrings()
    {
        MachineConfig config = Config(DumpLowMemory);
        config = config with { Boot = config.Boot with { Append = "root=none  quiet \"a b\"" } };

        BareRun run = Run(config);

        (byte[] low, int info) = Split(run);
        Assert.Equal(0x4u | 0x200, U32(low, info) & 0x204);
        Assert.Equal($"{config.Boot.KernelPath} root=none  quiet \"a b\"", Text(low, U32(low, info + 16)));
        Assert.Equal("KvmSharp", Text(low, U32(low, info + 64)));
    }

    [Fact]
    public void Info_MemoryMap_IsGuestMemory()
    {
        BareRun run = Run(Config(DumpLowMemory));

        (byte[] low, int info) = Split(run);
        Assert.Equal(0x41u, U32(low, info) & 0x41);
        Assert.Equal(639u, U32(low, info + 4));
        Assert.Equal(15u * 1024, U32(low, info + 8));
        int at = (int)U32(low, info + 48), end = at + (int)U32(low, info + 44);
        var map = new List<(ulong Start, ulong Length, uint Type)>();
        while (at < end)
        {
            map.Add((U64(low, at + 4), U64(low, at + 12), U32(low, at + 20)));
            at += 4 + (int)U32(low, at);
        }

        Assert.Equal(end, at);
        Assert.Equal([(0UL, 0x9_FC00UL), (OneMiB, 15UL << 20)], map.Where(r => r.Type == 1).Select(r => (r.Start, r.Length)));
        Assert.Contains(map, r => r.Type == 2 && r.Start <= 0xE_0000 && r.Start + r.Length >= OneMiB);
    }

    [Fact]
    public void Info_Modules_ContentsAndStrings()
    {
        byte[] first = [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7))];
        byte[] second = [1, 2, 3];
        MachineConfig config = Config(a =>
        {
            DumpLowMemoryOnly(a);
            a.mov(ebx, __dword_ptr[ebx + 24]); // mods_addr
            for (int i = 0; i < 3; i++)
            {
                a.mov(esi, __dword_ptr[ebx + (i * 16)]);
                a.mov(ecx, __dword_ptr[ebx + (i * 16) + 4]);
                a.sub(ecx, esi);
                a.mov(edx, GuestCode.ConsolePort);
                a.rep.outsb();
            }

            a.Exit(0);
        });
        string initrd = WriteFile("initial"u8.ToArray()), plain = WriteFile(second);
        config = config with
        {
            Boot = config.Boot with { InitrdPath = initrd, Modules = [new BootModule(WriteFile(first), "first one=1"), new BootModule(plain)] },
        };

        BareRun run = Run(config);

        (byte[] low, int info) = Split(run);
        Assert.Equal([.. "initial"u8, .. first, .. second], run.Console[(4 + low.Length)..]);
        Assert.Equal(8u, U32(low, info) & 8);
        Assert.Equal(3u, U32(low, info + 20));
        int list = (int)U32(low, info + 24);
        uint previousEnd = OneMiB;
        foreach (int i in (int[])[0, 1, 2])
        {
            uint start = U32(low, list + (i * 16));
            Assert.Equal(0u, start % 4096);
            Assert.True(start >= previousEnd);
            previousEnd = U32(low, list + (i * 16) + 4);
        }

        Assert.Equal(initrd, Text(low, U32(low, list + 8)));
        Assert.Equal("first one=1", Text(low, U32(low, list + 24)));
        Assert.Equal(plain, Text(low, U32(low, list + 40)));
    }

    [Fact]
    public void Info_KernelSegmentInLowMemory_IsKeptOffTheInfo()
    {
        byte[] segment = new byte[0x4000];
        segment.AsSpan().Fill(0x77);
        byte[] kernel = BareKernel.Elf(DumpLowMemory, (0x1000, segment));

        BareRun run = Run(Config(kernel));

        (byte[] low, int info) = Split(run);
        Assert.Equal(segment, low[0x1000..0x5000]);
        Assert.True(info >= 0x5000);
    }

    private static void DumpLowMemory(Assembler a)
    {
        DumpLowMemoryOnly(a);
        a.Exit(0);
    }

    /// <summary>The address of the info, then the first 64 KiB of memory, which hold all of it here.</summary>
    private static void DumpLowMemoryOnly(Assembler a)
    {
        a.Begin();
        a.mov(__dword_ptr[GuestCode.Results], ebx);
        a.mov(esi, GuestCode.Results);
        a.mov(ecx, 4);
        a.mov(edx, GuestCode.ConsolePort);
        a.rep.outsb();
        a.xor(esi, esi);
        a.mov(ecx, 0x1_0000);
        a.rep.outsb();
    }

    private static (byte[] Low, int Info) Split(BareRun run)
    {
        Assert.Equal(MachineExitKind.DebugExit, run.Exit.Kind);
        int info = (int)U32(run.Console, 0);
        byte[] low = run.Console[4..0x1_0004];
        Assert.InRange(info, 0x1000, low.Length - InfoLength);
        return (low, info);
    }

    private static uint U32(byte[] bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(offset));

    private static ulong U64(byte[] bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(offset));

    private static string Text(byte[] low, uint address)
    {
        Assert.InRange(address, 0x1000u, (uint)low.Length);
        int end = Array.IndexOf(low, (byte)0, (int)address);
        return Encoding.UTF8.GetString(low, (int)address, end - (int)address);
    }
}
