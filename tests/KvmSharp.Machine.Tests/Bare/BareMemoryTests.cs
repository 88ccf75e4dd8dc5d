using Iced.Intel;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class BareMemoryTests : BareFixture
{
    [Theory]
    [InlineData(0x14_0000u)]
    [InlineData(0x20_0000u)]
    [InlineData(0x20_1000u)]
    [InlineData(0x700_0000u)]
    public void Run_SmallMemory_UsableToItsLastByteAndNoFurther(uint size)
    {
        MachineConfig config = Config(a =>
        {
            a.mov(esp, 0x13_0000);
            a.mov(edi, 0x13_1000);
            a.Write32(size - 4, 0xCAFE_BABE);
            a.StoreMemory(size - 4);
            a.StoreMemory(size);
            a.mov(eax, __dword_ptr[ebx + 8]); // mem_upper
            a.stosd();
            a.mov(esi, 0x13_1000);
            a.mov(ecx, 12);
            a.mov(edx, GuestCode.ConsolePort);
            a.rep.outsb();
            a.Exit(0);
        });

        BareRun run = Run(config with { Memory = new MemoryConfig { SizeBytes = size } });

        Assert.Equal([0xCAFE_BABEu, 0xFFFF_FFFF, (size - 0x10_0000) >> 10], run.Words);
    }

    [Fact]
    public void Run_FiveGiB_MemoryAbove4GiBIsThereAndSparse()
    {
        const uint map2M = 0x83, table = 0x07;
        const uint pml4 = 0x20_0000, pdpt = 0x20_1000, low = 0x20_2000, high = 0x20_3000, apic = 0x20_4000;
        const uint longMode = 0x1B_0000, gdt = 0x19_0000, pointer = 0x19_0040;
        byte[] code64 = TestKit.Guests.Payload.Assemble(64, longMode, a =>
        {
            ulong[] places = [0x1_0000_0000, 0x1_0012_3458, 0x1_3FFF_FFF8];
            a.mov(edi, GuestCode.Results);
            foreach (ulong place in places)
            {
                a.mov(rbx, place);
                a.mov(rax, place ^ 0x5A5A_5A5A_A5A5_A5A5);
                a.mov(__qword_ptr[rbx], rax);
            }

            foreach (ulong place in places)
            {
                a.mov(rbx, place);
                a.mov(rax, __qword_ptr[rbx]);
                a.stosq();
            }

            a.mov(rbx, 0x1_8000_0000); // one past the end
            a.mov(rax, __qword_ptr[rbx]);
            a.stosq();
            a.mov(esi, GuestCode.Results);
            a.mov(ecx, 8 * (places.Length + 1));
            a.mov(edx, GuestCode.ConsolePort);
            a.rep.outsb();
            a.Exit(0);
        });
        byte[] kernel = BareKernel.Elf(a =>
        {
            a.Begin();
            a.Write32(pml4, pdpt | table);
            a.Write32(pdpt, low | table);
            a.Write32(pdpt + (4 * 8), high | table);
            a.Write32(pdpt + (6 * 8), apic | table);
            a.Write32(low, map2M);
            a.Write32(low + 8, 0x20_0000 | map2M);
            MapHigh(a, high, 0, 0x1_0000_0000, map2M);
            MapHigh(a, high, 511, 0x1_3FE0_0000, map2M);
            MapHigh(a, apic, 0, 0x1_8000_0000, map2M);
            a.Write32(gdt + 8, 0);
            a.Write32(gdt + 12, 0x0020_9B00); // 64-bit code
            a.Write32(gdt + 16, 0xFFFF);
            a.Write32(gdt + 20, 0x00CF_9300);
            a.mov(__word_ptr[pointer], 23);
            a.Write32(pointer + 2, gdt);
            a.lgdt(__[pointer]);
            a.mov(eax, 0x20);
            a.mov(cr4, eax);
            a.mov(eax, pml4);
            a.mov(cr3, eax);
            a.mov(ecx, 0xC000_0080);
            a.rdmsr();
            a.or(eax, 0x100);
            a.wrmsr();
            a.mov(eax, cr0);
            a.or(eax, unchecked((int)0x8000_0000));
            a.mov(cr0, eax);
            a.db(0xEA, 0x00, 0x00, 0x1B, 0x00, 0x08, 0x00); // jmp 8:longMode
        }, (longMode, code64));

        BareRun run = Run(Config(kernel) with { Memory = new MemoryConfig { SizeBytes = 5UL << 30 } });

        Assert.Equal(MachineExitKind.DebugExit, run.Exit.Kind);
        ulong[] words = [.. Enumerable.Range(0, 4).Select(i => BitConverter.ToUInt64(run.Console, i * 8))];
        ulong key = 0x5A5A_5A5A_A5A5_A5A5;
        Assert.Equal([0x1_0000_0000 ^ key, 0x1_0012_3458 ^ key, 0x1_3FFF_FFF8 ^ key, ulong.MaxValue], words);
    }

    [Fact]
    public void Run_MergeableMemory_LoadsKernelAndModule()
    {
        MachineConfig config = Config(a =>
        {
            a.mov(ebx, __dword_ptr[ebx + 24]);
            a.mov(esi, __dword_ptr[ebx]);
            a.mov(edi, GuestCode.Results);
            a.mov(ecx, 4);
            a.rep.movsb();
            a.Finish();
        });
        config = config with
        {
            Memory = config.Memory with { Mergeable = true },
            Boot = config.Boot with { InitrdPath = WriteFile([1, 2, 3, 4]) },
        };

        Assert.Equal([0x04030201u], Run(config).Words);
    }

    private static void MapHigh(Assembler a, uint directory, int index, ulong address, uint flags)
    {
        a.Write32(directory + (uint)(index * 8), (uint)address | flags);
        a.Write32(directory + (uint)(index * 8) + 4, (uint)(address >> 32));
    }
}
