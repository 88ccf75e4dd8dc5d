using System.Runtime.CompilerServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;
using KvmSharp.Machine.Config;
using KvmSharp.Sandbox;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Cli;

/// <summary>What <c>--sandbox</c> comes to: the keeper of paths from the start on, the walls before the guest runs.</summary>
internal sealed class RunSandbox : IDisposable
{
    private readonly ConfinedProcess? _process;
    private readonly Keeper? _keeper;

    /// <summary>Throws <see cref="SandboxException"/> or <see cref="ConfigException"/> for what cannot be, before anything is made.</summary>
    public RunSandbox(SandboxConfig config, ILoggerFactory loggers)
    {
        ILogger log = loggers.CreateLogger("sandbox");
        if (!IsWanted(config, log))
            return;
        // The keeper is a copy of the program, and has no threads.
        _keeper = Keeper.Start();
        try
        {
            _process = new ConfinedProcess(new SandboxOptions { User = config.User, IsStrict = config.IsOn == true, Logger = log });
        }
        catch
        {
            _keeper.Dispose();
            throw;
        }
    }

    /// <summary>Who does what needs a path once the program is confined.</summary>
    public IHostPaths Paths => _keeper is null ? OwnPaths.Instance : _keeper;

    /// <summary>Confines the program. Everything is open, and no vCPU has run.</summary>
    public void Enter()
    {
        if (_process is null)
            return;
        _keeper!.Seal();
        _process.Enter();
    }

    public void Dispose()
    {
        _process?.Dispose();
        _keeper?.Dispose();
    }

    private static bool IsWanted(SandboxConfig config, ILogger log)
    {
        // Only root has much to lose, and can raise all the walls.
        bool isWanted = config.IsOn ?? (config.User is not null || Libc.geteuid() == 0);
        // A just-in-time compiler makes code and loads assemblies at any moment.
        if (!isWanted || !RuntimeFeature.IsDynamicCodeSupported)
            return isWanted;
        const string Reason = "this build compiles at run time, which a sandbox forbids";
        if (config.IsOn == true || config.User is not null)
            throw new SandboxException($"sandbox: {Reason}; use the native binary of scripts/build.sh");
        log.LogInformation("not confined: {Reason}", Reason);
        return false;
    }
}
