using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Machine.Tests;

public sealed class SharedInterruptsTests
{
    [Fact]
    public void SetLevel_TwoInputsOnOneGsi_LineFollowsTheirOr()
    {
        var fabric = new RecordingFabric();
        var shared = new SharedInterrupts(fabric);
        IIrqLine first = shared.GetLine(4);
        IIrqLine second = shared.GetLine(4);

        first.SetLevel(true);
        second.SetLevel(true);
        first.SetLevel(false);
        first.SetLevel(false);
        second.SetLevel(false);

        Assert.Equal([true, false], fabric.Levels);
        Assert.Equal(1, fabric.LinesTaken);
    }

    private sealed class RecordingFabric : IInterruptFabric, IIrqLine
    {
        public List<bool> Levels { get; } = [];

        public int LinesTaken { get; private set; }

        public uint Gsi => 4;

        public IIrqLine GetLine(uint gsi)
        {
            LinesTaken++;
            return this;
        }

        public IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered) => null;

        public IMsiVector AllocateMsi() => throw new NotSupportedException();

        public bool SendMsi(ulong address, uint data) => false;

        public void SetLevel(bool asserted) => Levels.Add(asserted);
    }
}
