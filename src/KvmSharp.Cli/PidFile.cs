using System.Globalization;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli;

/// <summary>A file with our process id, there complete or not at all, removed at the end. Refused while a live process holds it.</summary>
internal sealed class PidFile : IDisposable
{
    private readonly string _content = Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n";

    private IDisposable? _kept;

    /// <param name="path">Of the file.</param>
    /// <param name="paths">Who removes it at the end.</param>
    public static PidFile Create(string path, IHostPaths paths)
    {
        var file = new PidFile();
        Check(path);
        string temporary = $"{path}.{Environment.ProcessId}";
        try
        {
            File.WriteAllText(temporary, file._content);
            // link(2), unlike a rename, fails when someone else was faster.
            if (!TryLink(temporary, path))
            {
                Check(path);
                File.Delete(path);
                if (!TryLink(temporary, path))
                    throw new ConfigException($"cannot write pid file {path}: another process is writing it too");
            }

            file._kept = paths.Keep(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            throw new ConfigException($"cannot write pid file {path}: {Printable.Line(e.Message)}");
        }
        finally
        {
            TryDelete(temporary);
        }

        return file;
    }

    /// <summary>Throws <see cref="ConfigException"/> if a live process holds the file, or it is not a pid file at all.</summary>
    public static void Check(string path)
    {
        if (Directory.Exists(path))
            throw new ConfigException($"cannot write pid file {path}: it is a directory");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            throw new ConfigException($"cannot write pid file {path}: its directory does not exist");
        if (TryRead(path) is not { } text)
            return;
        if (text.Length > 0 && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw new ConfigException($"pid file {path} exists and holds no process id", "it is left alone; remove it or name another one");
        if (text.Length > 0 && text != Environment.ProcessId.ToString(CultureInfo.InvariantCulture) && Directory.Exists("/proc/" + text))
            throw new ConfigException($"pid file {path} is held by process {text}, which is running", "give every machine a pid file of its own");
    }

    public void Dispose() => _kept?.Dispose();

    private static string? TryRead(string path)
    {
        try
        {
            using StreamReader reader = File.OpenText(path);
            char[] text = new char[32];
            return new string(text, 0, reader.ReadBlock(text)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static unsafe bool TryLink(string from, string to)
    {
        fixed (byte* source = Encoding.UTF8.GetBytes(from + '\0'), target = Encoding.UTF8.GetBytes(to + '\0'))
            return Libc.link(source, target) == 0;
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Left behind on a file system that became read-only; the next start takes it over.
        }
    }
}
