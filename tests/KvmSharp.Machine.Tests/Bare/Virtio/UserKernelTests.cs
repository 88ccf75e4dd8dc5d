using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

public sealed class UserKernelTests : BareFixture
{
    [Fact]
    public void Payload_RunsInRing3WithInputAndOutput()
    {
        uint[] words = Run(Config(UserKernel.Elf(a =>
        {
            a.mov(eax, cs);
            a.and(eax, 3);
            a.stosd();
            a.StoreIn(GuestCode.ExitPort + 4);
            a.Finish();
        }))).Words;

        Assert.Equal([3u, 0xFF], words);
    }

    [Fact]
    public void WaitForInterrupt_SelfSentInterrupt_IsCountedOnce()
    {
        uint[] words = Run(Config(UserKernel.Elf(a =>
        {
            a.mov(eax, GuestCode.LocalApic);
            a.mov(__dword_ptr[rax + 0x310], 0);
            a.mov(__dword_ptr[rax + 0x300], 0x4_4000 | UserKernel.Vector); // to self
            a.StoreMemory(UserKernel.InterruptCount);
            a.WaitForInterrupt();
            a.StoreMemory(UserKernel.InterruptCount);
            a.Finish();
        }))).Words;

        Assert.Equal([0u, 1], words);
    }

    [Fact]
    public void Exception_EndsTheMachine()
    {
        BareRun run = Run(Config(UserKernel.Elf(a => a.ud2())));

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, UserKernel.ExceptionStatus(6)), run.Exit);
    }
}
