using KvmSharp.Core.Chars;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>A vCPU thread that does not come back: its end is waited for, but not in silence.</summary>
public sealed class StopGuardTests : BareFixture
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RequestStop_VcpuIsStuckInADevice_IsReportedByName(bool pausedBefore)
    {
        using var device = new StuckBackend();
        SetBackend("com1", device);
        MachineConfig config = Config(a =>
        {
            a.Out8(0x3F8, (byte)'x');
            a.Hang();
        }) with { Serials = [new SerialConfig(0, Char("com1"))] };
        var stuck = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        MachineHost host = Host() with { StopLimit = TimeSpan.FromMilliseconds(50), OnStuck = stuck.SetResult };
        using Machine machine = Machine.Create(config, host);
        Task<MachineExit> run = Start(machine);
        Assert.True(device.Entered.Wait(Guard));
        // A pause waits for the vCPU too, and holds the machine's lock meanwhile.
        Task pause = pausedBefore ? Task.Run(machine.Pause) : Task.CompletedTask;

        machine.RequestStop();

        Assert.Equal("vcpu 0", await stuck.Task.WaitAsync(Guard));
        device.Leave.Set();
        Assert.Equal(MachineExitKind.Stopped, Finish(machine, run).Kind);
        await pause.WaitAsync(Guard);
    }

    [Fact]
    public void Dispose_EndsInTime_ReportsNothing()
    {
        bool reported = false;
        MachineHost host = Host() with { StopLimit = TimeSpan.FromMilliseconds(200), OnStuck = _ => reported = true };
        using (Machine machine = Machine.Create(Config(a => a.Exit(0)), host))
            Finish(machine, Start(machine));

        Thread.Sleep(300);
        Assert.False(reported);
    }

    /// <summary>A host end that keeps whoever writes to it until told otherwise.</summary>
    private sealed class StuckBackend : ICharBackend, IDisposable
    {
        internal ManualResetEventSlim Entered { get; } = new();

        internal ManualResetEventSlim Leave { get; } = new();

        public void Start(ICharFrontend frontend)
        {
            // Nothing comes in.
        }

        public void Write(ReadOnlySpan<byte> data)
        {
            Entered.Set();
            Leave.Wait();
        }

        public void OnFrontendReady()
        {
            // Nothing is kept for later.
        }

        public void Dispose() => Leave.Set();
    }
}
