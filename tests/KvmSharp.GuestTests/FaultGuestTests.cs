namespace KvmSharp.GuestTests;

/// <summary>The host refuses and breaks things under a running guest, which sees errors of its devices at most. The table of docs/reliability.md names this test.</summary>
[Collection(MachineGuests.Name)]
public sealed class FaultGuestTests(GuestHost host)
{
    [Fact]
    public void Run_HostFailsInEveryWay_GuestSeesErrorsAndLivesOn()
    {
        // A call that strace makes fail has no number any more, and a filter ends the program for it.
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["faults"], "--sandbox", "off"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        string[] steps =
        [
            "full", "room", "room_io", "failing", "healed", "healed_io", "interrupted_a", "interrupted_b", "descriptors_a", "descriptors_b", "slept_io", "cut", "cut_io",
            .. host.InLab ? (string[])["clock", "clock_io"] : [],
        ];
        foreach (string step in steps)
            Assert.True(result.Value(step) == "ok", $"{step}\n{result.Describe()}");
        foreach (string transfer in (string[])["interrupted", "descriptors", "slept", .. host.InLab ? (string[])["clock"] : []])
        {
            Assert.True(result.Value("host.data") == result.Value($"{transfer}.received"), $"{transfer}\n{result.Describe()}");
            Assert.True(result.Value("host.data") == result.Value($"{transfer}.sent"), $"{transfer}\n{result.Describe()}");
        }

        Assert.Equal("8", result.Value("host.reset_status"));
        Assert.Equal("1", result.Value("host.reset_said"));
        Assert.NotEqual("0", result.Value("host.descriptors_refused"));
        Assert.NotEqual("0", result.Value("host.descriptors_allowed"));
        Assert.True(result.Value("host.descriptors_wrong") == "0", result.Describe());
    }

    /// <summary>Ranges of a disk, or all of it for a while, fail in the host's kernel itself (device mapper): nobody restarts anything.</summary>
    [Fact]
    public void Run_HostsDeviceFails_GuestSeesItThereAndWhile()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["mapper"]));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        string[] range = ["bad_read_first", "bad_read_last", "before_read", "before_write", "bad_write_first", "bad_write_last", "behind_read", "behind_write", "across", "beside_io"];
        string[] time = ["good", "dead_write", "dead_read", "others", "half_read", "half_write", "whole_write", "whole_io"];
        string[] flush = ["flush", "lost_flush", "kept_refusing", "stable_read"];
        foreach (string step in (string[])[.. range, .. time, .. flush])
            Assert.True(result.Value(step) == "ok", $"{step}\n{result.Describe()}");
        Assert.Equal(result.Value("host.a.head"), result.Value("vda.head"));
        Assert.Equal(result.Value("host.a.tail"), result.Value("vda.tail"));
        Assert.Equal(result.Value("host.b.sha256"), result.Value("vdb.sha256"));
    }
}
