using System.Runtime.InteropServices;
using KvmSharp.Core;
using KvmSharp.Core.Tracing;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Cli;

/// <summary>The file that <c>--trace</c> names.</summary>
internal static class TraceOutput
{
    /// <summary>Throws <see cref="ConfigException"/> for a place where no file can be.</summary>
    public static void Check(string path)
    {
        if (Directory.Exists(path))
            throw new ConfigException($"cannot write trace {path}: it is a directory");
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        if (!Directory.Exists(folder))
            throw new ConfigException($"cannot write trace {path}: there is no directory {folder}");
    }

    /// <summary>Begins the trace. Throws <see cref="ConfigException"/> if the file cannot be written.</summary>
    public static TraceSession Start(TraceConfig config, string processName, ILoggerFactory loggers)
    {
        try
        {
            return TraceSession.Start(new TraceOptions { Path = config.Path, LimitBytes = config.LimitBytes, ProcessName = processName, Logger = loggers.CreateLogger("trace") });
        }
        catch (LinuxException e)
        {
            throw new ConfigException($"cannot write trace {config.Path}: {Marshal.GetPInvokeErrorMessage(e.Errno)}");
        }
    }
}
