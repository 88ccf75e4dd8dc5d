using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace KvmSharp.GuestTests;

/// <summary>A child process whose output is collected as it comes; ended with the object.</summary>
internal sealed class RunningProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Lock _lock = new();
    private readonly Thread[] _readers;

    private RunningProcess(Process process)
    {
        _process = process;
        _readers = [Read(process.StandardOutput, "stdout"), Read(process.StandardError, "stderr")];
    }

    /// <summary>Everything the process wrote so far to either stream.</summary>
    public string Output
    {
        get
        {
            lock (_lock)
                return _output.ToString();
        }
    }

    public int Id => _process.Id;

    public bool IsRunning => !_process.HasExited;

    /// <summary>Starts a program; its stdin is a pipe that <see cref="Write"/> feeds.</summary>
    public static RunningProcess Start(string program, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = RepositoryPaths.Root,
            StandardOutputEncoding = Encoding.Latin1,
            StandardErrorEncoding = Encoding.Latin1,
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        return new RunningProcess(Process.Start(start) ?? throw new InvalidOperationException($"Cannot start {program}."));
    }

    /// <summary>Sends text to the process's stdin.</summary>
    public void Write(string text)
    {
        _process.StandardInput.Write(text);
        _process.StandardInput.Flush();
    }

    /// <summary>Sends a signal by kill(1)'s name for it.</summary>
    public void Signal(string name)
    {
        using Process kill = Process.Start("/bin/kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>Waits until the output holds a text this many times. False when time is up or the process ended without it.</summary>
    public bool WaitForOutput(string text, int count, TimeSpan limit)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (true)
        {
            bool ended = _process.HasExited;
            if (ended)
                JoinReaders();
            if (Count(Output, text) >= count)
                return true;
            if (ended || watch.Elapsed > limit)
                return false;
            Thread.Sleep(50);
        }
    }

    /// <summary>Waits for the end; null when time is up.</summary>
    public int? WaitForExit(TimeSpan limit)
    {
        if (!_process.WaitForExit(limit))
            return null;
        JoinReaders();
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Signal("TERM");
            if (!_process.WaitForExit(5000))
                _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    /// <summary>How often a text occurs in another.</summary>
    public static int Count(string text, string wanted)
    {
        int count = 0;
        for (int at = text.IndexOf(wanted, StringComparison.Ordinal); at >= 0; at = text.IndexOf(wanted, at + wanted.Length, StringComparison.Ordinal))
            count++;
        return count;
    }

    private Thread Read(StreamReader reader, string name)
    {
        Thread thread = new(() =>
        {
            char[] buffer = new char[4096];
            for (int got = reader.Read(buffer, 0, buffer.Length); got > 0; got = reader.Read(buffer, 0, buffer.Length))
            {
                lock (_lock)
                    _output.Append(buffer, 0, got);
            }
        })
        { IsBackground = true, Name = name };
        thread.Start();
        return thread;
    }

    // Something the process left behind may hold its streams open for ever.
    private void JoinReaders()
    {
        foreach (Thread reader in _readers)
            reader.Join(2000);
    }
}
