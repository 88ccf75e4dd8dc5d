using System.Text;

namespace KvmSharp.GuestTests;

/// <summary>The serial console carries text both ways.</summary>
[Collection(MachineGuests.Name)]
public sealed class ConsoleGuestTests(GuestHost host)
{
    // Runs beside the monitor, in the lab when there is one: that is where the pseudo-terminal exists.
    private const string TalkThroughPty = """
        set -u
        trap '' HUP # a session leader gets the terminal it opens as its own, and this when the monitor closes it
        log=$(mktemp)
        "$@" >"$log" 2>&1 </dev/null &
        monitor=$!
        trap 'kill $monitor 2>/dev/null; cat "$log"' EXIT
        for ((i = 0; i < 300; i++)); do
            pty=$(grep -ao '/dev/pts/[0-9]*' "$log" | head -n 1)
            [ -n "$pty" ] && break
            sleep 0.1
        done
        [ -n "$pty" ] || { echo "no pseudo-terminal named"; exit 90; }
        exec 3<>"$pty"
        stty raw -echo <&3
        expect() {
            local line
            while IFS= read -r -t 120 line <&3; do
                echo "pty: $line"
                case $line in *"$1"*) return 0 ;; esac
            done
            echo "nothing like: $1"
            exit 91
        }
        expect ready=echo
        printf 'hello through a pty\n' >&3
        expect 'echo:hello through a pty'
        printf 'quit\n' >&3
        status=0
        wait $monitor || status=$?
        trap 'cat "$log"' EXIT
        exit $status
        """;

    [Fact]
    public void Serial_Pty_EchoesAndPowersOff()
    {
        using RunningProcess talk = host.Start(
            ["bash", "-c", TalkThroughPty, "talk", .. host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=echo", "--memory", "256M", "--serial", "pty")]);

        int? status = talk.WaitForExit(host.BootLimit + TimeSpan.FromSeconds(60));

        Assert.True(status == 0, $"status {status}: {talk.Output}");
        Assert.Contains("echo:hello through a pty", talk.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Serial_Stdio_LongInputArrivesWhole()
    {
        using RunningProcess guest = host.Start(host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=echo", "--memory", "256M", "--serial", "stdio"));
        Assert.True(guest.WaitForOutput("KVMSHARP ready=echo", 1, host.BootLimit), guest.Output);
        StringBuilder sent = new();
        for (int line = 0; line < 40; line++)
            sent.Append(line).Append(" 0123456789abcdefghijklmnopqrstuvwxyz").Append('\n');

        guest.Write(sent.ToString());
        bool all = guest.WaitForOutput("echo:39 0123456789abcdefghijklmnopqrstuvwxyz", 1, TimeSpan.FromSeconds(60));
        guest.Write("quit\n");

        Assert.True(all, guest.Output);
        Assert.Equal(40, RunningProcess.Count(guest.Output, "echo:"));
        Assert.Equal(0, guest.WaitForExit(TimeSpan.FromSeconds(60)));
    }
}
