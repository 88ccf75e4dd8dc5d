namespace KvmSharp.GuestTests;

/// <summary>Stock drivers make a console of the virtio console and character devices of its ports, and text and megabytes pass through them.</summary>
[Collection(DataPathGuests.Name)]
public sealed class VirtioConsoleGuestTests(GuestHost host)
{
    // The scripts run beside the monitor, in the lab when there is one: that is where its sockets and terminals exist.

    /// <summary>
    /// Runs "$@" with its virtio console on a pseudo-terminal or a socket (the first argument), speaks with the
    /// guest's echo, and again after a reboot.
    /// </summary>
    private const string TalkToConsole = """
        set -u
        trap '' HUP # a session leader gets the terminal it opens as its own, and this when the monitor closes it
        end=$1
        shift
        d=$(mktemp -d /tmp/console.XXXXXX)
        [ "$end" = pty ] || end=unix:$d/s
        "$@" --console "virtio,$end" >"$d/log" 2>&1 </dev/null &
        monitor=$!
        trap 'kill $monitor 2>/dev/null; cat "$d/log"; rm -rf "$d"' EXIT
        where=
        for ((i = 0; i < 300; i++)); do
            if [ "$end" = pty ]; then where=$(sed -n 's/.*console on \(.*\)/\1/p' "$d/log"); else [ ! -S "$d/s" ] || where=$d/s; fi
            [ -n "$where" ] && break
            sleep 0.1
        done
        [ -n "$where" ] || { echo "no console"; exit 90; }
        if [ "$end" = pty ]; then
            stty -F "$where" raw -echo
            exec 3<>"$where"
        else
            coproc client { perl -MIO::Socket::UNIX -e '
                $| = 1; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
                if (!fork) { while (sysread(STDIN, my $in, 4096)) { syswrite($s, $in) } exit }
                while (sysread($s, my $out, 4096)) { syswrite(STDOUT, $out) }' "$where"; }
            exec 3<&"${client[0]}" 4>&"${client[1]}"
        fi
        say() { if [ "$end" = pty ]; then printf '%s\n' "$1" >&3; else printf '%s\n' "$1" >&4; fi; }
        expect() {
            local line
            while IFS= read -r -t 120 line <&3; do
                echo "console: $line"
                case $line in *"$1"*) return 0 ;; esac
            done
            echo "nothing like: $1"
            exit 91
        }
        expect ready=echo
        say 'hello through a virtio console'
        expect 'echo:hello through a virtio console'
        for ((i = 0; i < 40; i++)); do say "$i 0123456789abcdefghijklmnopqrstuvwxyz"; done
        for ((i = 0; i < 40; i++)); do expect "echo:$i 0123456789abcdefghijklmnopqrstuvwxyz"; done
        say reboot # the host end stays
        expect ready=echo
        say again
        expect echo:again
        say quit
        status=0
        wait $monitor || status=$?
        trap 'cat "$d/log"; rm -rf "$d"' EXIT
        exit $status
        """;

    /// <summary>
    /// Runs "$@" on a terminal of a known size that it changes, with a port for data (the other end sends what comes back, and then a line) and a
    /// port that is a console.
    /// </summary>
    private const string TerminalAndPorts = """
        set -u
        d=$(mktemp -d /tmp/console.XXXXXX)
        trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$d"' EXIT
        head -c 3M /dev/urandom >"$d/data"
        echo "KVMSHARP host.data=$(sha256sum <"$d/data" | cut -d' ' -f1)"
        cat >"$d/run" <<END
        tty >$d/tty
        stty rows 30 cols 100
        exec $(printf '%q ' "$@") --console virtio --virtio-port name=org.kvmsharp.test,unix:$d/port --virtio-port name=second,file:$d/second,console=on
        END
        mkfifo "$d/never" && sleep 600 >"$d/never" &
        until [ -p "$d/never" ]; do sleep 0.1; done
        script -q -e -c "bash $d/run" "$d/typescript" <"$d/never" >"$d/out" 2>&1 &
        monitor=$!
        perl -MIO::Socket::UNIX -e '
            my ($where, $data, $back) = @ARGV;
            my $s; for (1 .. 300) { last if $s = IO::Socket::UNIX->new(Peer => $where); select undef, undef, undef, 0.1 }
            open my $in, "<", $data; open my $out, ">", $back; my ($bytes, $done) = ("", 0);
            while (sysread $in, $bytes, 65536) { for (my $at = 0; $at < length $bytes;) { $at += syswrite($s, $bytes, length($bytes) - $at, $at) // die } }
            while ($done < 3 << 20 and my $got = sysread $s, $bytes, 65536) { $done += $got; syswrite $out, $bytes }
            close $out; syswrite $s, "the last line\n"; 1 while sysread $s, $bytes, 65536' "$d/port" "$d/data" "$d/back" &
        for ((i = 0; i < 1500; i++)); do
            grep -qs console.size= "$d/out" && break
            sleep 0.1
        done
        stty -F "$(cat "$d/tty")" rows 44 cols 132
        status=0
        wait $monitor || status=$?
        cat "$d/out"
        echo "KVMSHARP host.back=$(sha256sum <"$d/back" | cut -d' ' -f1)"
        echo "KVMSHARP host.second=$(tr -d '\r' <"$d/second")"
        exit $status
        """;

    [Theory]
    [InlineData("pc", "pty")]
    [InlineData("microvm", "unix")]
    public void Console_StockKernel_BootsAndEchoesAlsoAfterAReboot(string machine, string end)
    {
        string[] run = Arguments("kvmsharp.test=echo", "--machine", machine);
        using RunningProcess talk = host.Start(["bash", "-c", TalkToConsole, "talk", end, .. run]);

        int? status = talk.WaitForExit(2 * host.BootLimit + TimeSpan.FromSeconds(60));

        Assert.True(status == 0, $"status {status}: {talk.Output}");
        Assert.Contains("echo:again", talk.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pc", "packed=on,in_order=on")]
    [InlineData("microvm", "packed=off")]
    public void Ports_Megabytes_PassBothWaysAndTheSizeFollows(string machine, string keys)
    {
        string script = TerminalAndPorts.Replace("org.kvmsharp.test,unix:$d/port", $"org.kvmsharp.test,unix:$d/port,{keys}", StringComparison.Ordinal);
        GuestResult result = host.Run(["bash", "-c", script, "talk", .. Arguments("kvmsharp.test=console kvmsharp.amount=3", "--machine", machine, "--cpus", "2")]);

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("verdict") == "done", result.Describe());
        Assert.Equal("30 100", result.Value("console.size"));
        Assert.Equal("44 132", result.Value("console.resized"));
        Assert.Equal("org.kvmsharp.test", result.Value("port.vport1p1") ?? result.Value("port.vport0p1"));
        Assert.Equal(result.Value("host.data"), result.Value("port.received"));
        Assert.Equal(result.Value("host.data"), result.Value("host.back"));
        Assert.Equal("the last line", result.Value("port.line"));
        Assert.Equal("a line for hvc1", result.Value("host.second"));
        Assert.DoesNotContain("KVMSHARP dmesg:", result.Output, StringComparison.Ordinal);
    }

    /// <summary>A guest whose console is hvc0 alone.</summary>
    private string[] Arguments(string append, params string[] more)
    {
        string[] run = host.Arguments("6.12-cloud", "bzImage", append, ["--memory", "256M", .. more]);
        run[Array.IndexOf(run, "--initrd") + 1] = GuestHost.Initramfs("6.12", "cloud", "virtio_mmio");
        int at = Array.IndexOf(run, "--append") + 1;
        run[at] = run[at].Replace("console=ttyS0", "console=hvc0", StringComparison.Ordinal);
        return run;
    }
}
