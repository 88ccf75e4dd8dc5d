using System.Globalization;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>Looks at the whole process: runs alone.</summary>
[CollectionDefinition(nameof(BlockRequestSlotsTests), DisableParallelization = true)]
[Collection(nameof(BlockRequestSlotsTests))]
public sealed class BlockRequestSlotsTests
{
    /// <summary>
    /// Whatever thread starts a queue: a vCPU at the driver's wish, the control thread at a reset, another one at a resume. malloc would keep such a table once for
    /// each of them, and huge pages would fill it.
    /// </summary>
    [Fact]
    public void Dispose_OnManyThreads_TheProcessKeepsNothing()
    {
        // A thread of the runtime that starts meanwhile brings a stack of 8 MiB.
        const int threads = 6, rounds = 4, mostKib = 16 << 10;
        using var atRest = new Barrier(threads + 1);
        var starters = new Thread[threads];
        for (int i = 0; i < threads; i++)
        {
            starters[i] = new Thread(() =>
            {
                atRest.SignalAndWait();
                atRest.SignalAndWait();
                for (int round = 0; round < rounds; round++)
                    UseOnce();
                atRest.SignalAndWait();
                atRest.SignalAndWait();
            });
            starters[i].Start();
        }

        atRest.SignalAndWait();
        int before = PrivateKib();
        atRest.SignalAndWait();
        atRest.SignalAndWait();
        int after = PrivateKib();
        atRest.SignalAndWait();
        foreach (Thread starter in starters)
            starter.Join();

        Assert.InRange(after - before, int.MinValue, mostKib);
    }

    /// <summary>As a disk's queue of the usual size in the worst case.</summary>
    private static void UseOnce()
    {
        const int count = 256, segments = 1024;
        using var slots = new BlockRequestSlots(count, segments);
        for (int i = 0; i < count; i++)
            slots.Segments(i)[0] = default(IoVec);
    }

    private static int PrivateKib()
    {
        string line = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("VmData:", StringComparison.Ordinal));
        return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
