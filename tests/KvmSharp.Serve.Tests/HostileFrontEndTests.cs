namespace KvmSharp.Serve.Tests;

/// <summary>What makes no sense costs the connection it came on, and nothing else.</summary>
public sealed class HostileFrontEndTests : IDisposable
{
    private const uint GetFeatures = 1, SetFeatures = 2, SetMemTable = 5, SetVringNum = 8, SetVringAddr = 9, SetVringKick = 12, GetConfig = 24, SetConfig = 25, GetInflight = 31, AddMemReg = 37;

    private readonly ServedDisk _disk = new();

    public void Dispose() => _disk.Dispose();

    public static TheoryData<uint, uint, uint, byte[]> Nonsense => new()
    {
        { 4711, 1, 0, [] },
        { GetFeatures, 2, 0, [] },
        { GetFeatures, 5, 0, [] },
        { SetFeatures, 1, uint.MaxValue, [] },
        { SetFeatures, 1, 8, [255, 255, 255, 255, 255, 255, 255, 255] },
        { SetFeatures, 1, 4, [0, 0, 0, 0] },
        { SetMemTable, 1, 8, [255, 255, 255, 255, 0, 0, 0, 0] },
        { SetMemTable, 1, 8, [1, 0, 0, 0, 0, 0, 0, 0] },
        { SetMemTable, 1, 40, [1, 0, 0, 0, 0, 0, 0, 0, .. new byte[32]] },
        { SetVringNum, 1, 8, [99, 0, 0, 0, 16, 0, 0, 0] },
        { SetVringNum, 1, 8, [0, 0, 0, 0, 255, 255, 0, 0] },
        { SetVringAddr, 1, 8, new byte[8] },
        { SetVringKick, 1, 8, new byte[8] },
        { GetConfig, 1, 12, [0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0] },
        { SetConfig, 1, 12, [0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0] },
        { GetInflight, 1, 20, [.. new byte[16], 255, 255, 255, 255] },
        { AddMemReg, 1, 40, new byte[40] },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public void Message_ThatMakesNoSense_EndsTheConnectionOnly(uint request, uint flags, uint length, byte[] payload)
    {
        using (RawFrontEnd hostile = new(_disk.Socket))
        {
            hostile.Say(request, flags, length, payload);
            Assert.Null(hostile.Hear());
        }

        AssertServes();
    }

    [Fact]
    public void Messages_OfRandomBytes_EndTheConnectionOnly()
    {
        Random random = new(1);
        for (int i = 0; i < 200; i++)
        {
            using RawFrontEnd hostile = new(_disk.Socket);
            try
            {
                for (int k = 0; k < 8; k++)
                {
                    byte[] payload = new byte[random.Next(64)];
                    random.NextBytes(payload);
                    for (int b = 0; b < payload.Length; b++)
                        payload[b] = random.Next(3) == 0 ? payload[b] : (byte)0;
                    hostile.Say((uint)random.Next(48), payload);
                }
            }
            catch (System.Net.Sockets.SocketException)
            {
                // It has hung up already.
            }
        }

        AssertServes();
    }

    [Fact]
    public void Message_ThatNeverEnds_LeavesOtherPortsAlone()
    {
        using RawFrontEnd slow = new(_disk.Socket);
        slow.Say(SetFeatures, flags: 1, length: 8, [0, 0]);

        Assert.Single(_disk.Host.Ports);
        Assert.True(_disk.Host.Remove("blk0"));
    }

    private void AssertServes()
    {
        using RawFrontEnd honest = new(_disk.Socket);
        honest.Say(GetFeatures);
        Assert.Equal(sizeof(ulong), honest.Hear()?.Length);
        Assert.Null(_disk.Failure);
    }
}
