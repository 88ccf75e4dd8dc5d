using KvmSharp.Abi;
using static KvmSharp.Serve.Tests.Patience;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>Front ends that turn on us while their rings run: they lose their connection, and nobody else notices.</summary>
public sealed class HostileDriverTests : IDisposable
{
    private const int ExitStatus = 70;

    /// <summary>Ports of the hostile one, and of two others that talk to each other; all on one I/O thread.</summary>
    private readonly ServedNetwork _network = new();

    public HostileDriverTests()
    {
        // As the program does; without it the first fault ends the process.
        Assert.Equal(0, NativeShims.kvmsharp_memory_fault_init(ExitStatus));
        _network.Add("null");
        _network.Add("switch");
        _network.Add("switch");
    }

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(KvmSharp.Virtio.VirtioFeatures.RingPacked)]
    [InlineData(KvmSharp.Virtio.VirtioFeatures.EventIdx)]
    public void Memory_IsTakenAwayWhileRingsRun_CostsTheConnectionOnly(ulong features)
    {
        for (int life = 0; life < 3; life++)
        {
            NetDriver hostile = _network.Connect(0, features);
            hostile.Send(0, new byte[60]);
            hostile.TakeMemoryAway();
            hostile.Kick(1);
            Await(() => !_network.Host.Find("net0")!.IsConnected, () => "the front end is still there");
        }

        AssertOthersTalk();
    }

    [Fact]
    public void Interrupt_IsMadeToBlock_CostsTheConnectionOnly()
    {
        NetDriver hostile = _network.Connect(0, 0);
        hostile.Send(0, new byte[60]);
        hostile.BlockInterrupts(1);
        hostile.SendBlindly(0, 60);

        AssertOthersTalk();
        Await(() => !_network.Host.Find("net0")!.IsConnected, () => "the front end is still there");
        Assert.True(_network.Host.Remove("net0"));
        AssertOthersTalk();
    }

    private void AssertOthersTalk()
    {
        using NetDriver from = _network.Connect(1, 0), to = _network.Connect(2, 0);
        byte[] frame = [.. Enumerable.Repeat((byte)0xff, 6), .. Enumerable.Range(0, 100).Select(i => (byte)(2 * i))];
        to.Post(0, 0, 1600);
        // Sent until the receiver's queue runs, which nobody says.
        Await(() =>
        {
            from.Send(0, frame);
            return !to.IsQuiet(0);
        }, () => "nothing arrives");
        Assert.Null(_network.Failure);
    }
}
