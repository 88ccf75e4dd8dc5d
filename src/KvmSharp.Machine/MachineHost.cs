using KvmSharp.Backends.Net;
using KvmSharp.Core.Chars;
using KvmSharp.Core.HostPaths;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>What the program around a machine provides to it.</summary>
public sealed record MachineHost
{
    /// <summary>Where the machine and its devices log.</summary>
    public required ILoggerFactory Loggers { get; init; }

    /// <summary>Opens the host end of a character device, which is named for messages ("com1"). The machine owns and disposes what it gets.</summary>
    public required Func<string, CharConfig, ICharBackend> OpenChar { get; init; }

    /// <summary>Opens the tap of a network interface; a back end exception if that cannot be. The machine owns and disposes what it gets.</summary>
    public Func<TapOptions, INetBackend> OpenTap { get; init; } = TapBackend.Open;

    /// <summary>Ends a machine that is still being made and waits for another process.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>The machine is made to see whether it can be, and does not run: it waits for nobody.</summary>
    public bool IsRehearsal { get; init; }

    /// <summary>Who removes and connects by path while the machine runs.</summary>
    public IHostPaths Paths { get; init; } = OwnPaths.Instance;

    /// <summary>Called once, on the starting thread, right before the first vCPU enters the guest.</summary>
    public Action? OnStarted { get; init; }

    /// <summary>Told, on a thread of its own, who keeps a machine from its end for longer than <see cref="StopLimit"/>. The machine waits on. Null: nobody watches.</summary>
    public Action<string>? OnStuck { get; init; }

    /// <summary>How long the end of a machine may take, from what caused it until all is closed.</summary>
    public TimeSpan StopLimit { get; init; } = TimeSpan.FromSeconds(30);
}
