using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Bench.Guest;

/// <summary>
/// A network namespace of the calling thread's own, with a tap and an iperf3 server behind it. What the thread starts, threads and programs,
/// is in there too. All of it is gone when the thread has ended and this is disposed.
/// </summary>
internal sealed class GuestNetwork : IDisposable
{
    public const string Tap = "bench0";

    /// <summary>The guest's script knows it.</summary>
    private const string Address = "10.99.0.1";
    private const int ReceivedPackets = 1, SentPackets = 9, Columns = 16;

    private readonly Process _server;

    public GuestNetwork()
    {
        if (Libc.unshare(LibcConstants.CLONE_NEWNET) != 0)
            throw LinuxException.FromLastError("make a network namespace", "run as root, or choose paths of disks with --paths");
        Command("ip", "link", "set", "lo", "up");
        Command("ip", "tuntap", "add", Tap, "mode", "tap", "vnet_hdr");
        Command("ip", "address", "add", Address + "/24", "dev", Tap);
        Command("ip", "link", "set", Tap, "up");
        // Should this program be killed, the server must not keep the namespace.
        _server = Start("setpriv", ["--pdeathsig", "KILL", "iperf3", "-s"], quiet: true);
    }

    /// <summary>Through the tap, both ways. On the thread that made this.</summary>
    public static long CountPackets() => ParsePackets(File.ReadLines("/proc/thread-self/net/dev"), Tap);

    /// <summary>Received and sent packets of an interface, from the lines of <c>/proc/net/dev</c>; 0 if it is not there.</summary>
    internal static long ParsePackets(IEnumerable<string> lines, string name)
    {
        foreach (string line in lines)
        {
            if (line.Split(':', 2) is not [var interfaceName, var text] || interfaceName.Trim() != name)
                continue;
            string[] fields = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return fields.Length >= Columns ? long.Parse(fields[ReceivedPackets], CultureInfo.InvariantCulture) + long.Parse(fields[SentPackets], CultureInfo.InvariantCulture) : 0;
        }

        return 0;
    }

    public void Dispose()
    {
        if (!_server.HasExited)
            _server.Kill();
        _server.WaitForExit();
        _server.Dispose();
    }

    private static void Command(string program, params string[] arguments)
    {
        using Process process = Start(program, arguments, quiet: false);
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new BenchException($"{program} {string.Join(' ', arguments)}: {errors.Split('\n')[0]}");
    }

    private static Process Start(string program, IEnumerable<string> arguments, bool quiet)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardError = true, RedirectStandardOutput = quiet, RedirectStandardInput = true };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        try
        {
            Process process = Process.Start(start)!;
            if (quiet)
            {
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
            }

            return process;
        }
        catch (Win32Exception e)
        {
            throw new BenchException($"cannot start {program}: {e.Message}");
        }
    }
}
